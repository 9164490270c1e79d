-- A participant that lives in its database: stock, and reservations of it. A web handler calls these
-- two functions, commits, and answers what they say.
create schema shop;
create table shop.stock (
  sku       text    primary key,
  available integer not null check (available >= 0)
);
create table shop.reservation (
  key      text    primary key,
  sku      text    not null references shop.stock,
  quantity integer not null
);

-- `p_key`: the header Idempotency-Key.
create function shop.reserve(p_key text, p_sku text, p_quantity integer) returns jsonb
language plpgsql as $$
declare
  verdict text := backstitch.guard(p_key, 'forward');
  answer  jsonb;
begin
  if verdict = 'repeated' then return backstitch.guard_answer(p_key); end if;
  if verdict = 'refused' then return '{"status": 409, "body": {"code": "UNDONE_BEFORE"}}'; end if;

  update shop.stock set available = available - p_quantity where sku = p_sku and available >= p_quantity;
  if not found then
    answer := '{"status": 409, "body": {"code": "OUT_OF_STOCK"}}';
    perform backstitch.guard_remember(p_key, answer, p_done => false);
    return answer;
  end if;
  insert into shop.reservation (key, sku, quantity) values (p_key, p_sku, p_quantity);
  answer := jsonb_build_object('status', 200, 'body', jsonb_build_object('sku', p_sku, 'reserved', p_quantity));
  perform backstitch.guard_remember(p_key, answer);
  return answer;
end $$;

-- `p_key`: the header Saga-Compensates.
create function shop.release(p_key text) returns jsonb
language plpgsql as $$
begin
  if backstitch.guard(p_key, 'compensate') = 'proceed' then
    with released as (delete from shop.reservation where key = p_key returning sku, quantity)
      update shop.stock s set available = s.available + r.quantity from released r where s.sku = r.sku;
  end if;
  return '{"status": 200, "body": {}}';
end $$;
