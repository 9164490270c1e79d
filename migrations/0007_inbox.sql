-- Why: commands for a saga from whoever does not hold it: another node, or SQL. They wait here until the
-- node that holds the saga's shard finds them by polling, and go in the transaction that appends what they did; so
-- none is lost and none works twice. Answers go back to the node that asked; SQL asks for none, and what
-- is refused of its signals stands in the audit.

create table backstitch.inbox (
  id      bigint      generated always as identity,
  xid     xid8        not null default pg_current_xact_id(),
  at      timestamptz not null default clock_timestamp(),
  saga_id uuid        not null,
  version bigint,
  shard   smallint    not null,
  failures smallint   not null default 0,
  bytes   integer     not null generated always as (octet_length(data::text)) stored,
  kind    text        not null,
  node    text,
  definition text,
  data    jsonb       not null,
  constraint inbox_pkey primary key (id),
  constraint inbox_kind_known check (kind in
    ('start', 'signal', 'callback', 'cancel', 'retry', 'suspend', 'skip', 'resolve')),
  constraint inbox_start_named check ((kind = 'start') = (definition is not null and version is not null)),
  constraint inbox_bytes_bounded check (bytes <= 4194304)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
comment on column backstitch.inbox.xid is
  'The transaction that made the item wait. Nodes poll for what their poll before could not see.';
comment on column backstitch.inbox.node is 'The node that awaits the answer; null: the command came by SQL.';
comment on column backstitch.inbox.bytes is
  'The size of data as text, stored at the insert so that no reader has to render data to measure it.';
comment on column backstitch.inbox.definition is
  'Of a start. Definition and version are columns of their own, so that a start whose data cannot be read still becomes a saga.';
comment on column backstitch.inbox.failures is
  'How often a node has failed to execute the command. At 5 it is set aside; 0 makes it wait again.';
-- Starts may pile up; commands for sagas that run must not wait behind them.
-- A poll walks what transactions have added that its snapshot before did not see, and nothing else: neither
-- what it has met, nor what has been settled and cannot be vacuumed while an old snapshot lasts.
create index inbox_starts on backstitch.inbox (xid, id) where kind = 'start' and failures < 5;
create index inbox_commands on backstitch.inbox (xid, id) where kind <> 'start' and failures < 5;
create index inbox_of_saga on backstitch.inbox (saga_id, id) where kind <> 'start';
create unique index inbox_start_of on backstitch.inbox (saga_id) where kind = 'start';

-- An item that was set aside and waits again is new to the polls.
create function backstitch.inbox_waits_again() returns trigger language plpgsql as $$
begin
  new.xid := pg_current_xact_id();
  return new;
end $$;
create trigger inbox_waits_again before update of failures on backstitch.inbox
  for each row when (new.failures < old.failures) execute function backstitch.inbox_waits_again();

create table backstitch.inbox_answer (
  id    bigint      not null,
  at    timestamptz not null default now(),
  node  text        collate "C" not null,
  error jsonb,
  constraint inbox_answer_pkey primary key (node, id)
);

-- A key that a start by SQL holds until it is taken up: its hash is empty till then, because only the
-- engine knows the input with its defaults. What was asked for stays known by sql_hash.
alter table backstitch.saga_key add column sql_hash text;

-- Whether as many commands wait for the saga as it may have: 100 by SQL and 100 by nodes, so that whoever may send
-- signals cannot keep an operator from cancelling. Transactions do not see each other's commands before they
-- commit, so together they may exceed it; waiting for each other would let one that stays open stop the rest.
create function backstitch.is_inbox_full(p_saga uuid, p_by_node boolean) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select count(*) >= 100
    from (select 1 from backstitch.inbox
           where saga_id = p_saga and kind <> 'start' and (node is not null) = p_by_node limit 100) waiting
$$;

-- A command from a node. Null: there is no such saga; 0: too many commands wait for it.
create function backstitch.put_command(
  p_saga uuid, p_shard smallint, p_kind text, p_node text, p_data jsonb) returns bigint
language plpgsql as $$
declare
  number bigint;
begin
  if not exists (select 1 from backstitch.saga where id = p_saga)
     and not exists (select 1 from backstitch.inbox where saga_id = p_saga and kind = 'start') then
    return null;
  end if;
  if backstitch.is_inbox_full(p_saga, true) then return 0; end if;
  -- Answers that nobody fetched: their node is no more.
  delete from backstitch.inbox_answer where at < now() - interval '1 hour';
  insert into backstitch.inbox (saga_id, shard, kind, node, data)
    values (p_saga, p_shard, p_kind, p_node, p_data) returning id into number;
  return number;
end $$;

-- A command that its node could not execute although nothing was wrong with the database. The fifth time it is set
-- aside: it stays in the table for a person to look at, the audit says why, and its sender is answered.
create function backstitch.inbox_failed(p_id bigint, p_why text, p_error jsonb) returns boolean
language plpgsql as $$
declare
  item backstitch.inbox;
begin
  update backstitch.inbox set failures = failures + 1 where id = p_id and failures < 5 returning * into item;
  if not found or item.failures < 5 then return false; end if;
  insert into backstitch.audit (saga_id, actor, action, reason, detail)
    values (item.saga_id, 'engine', item.kind || '-set-aside', p_why,
            jsonb_build_object('inbox', item.id, 'bytes', item.bytes, 'node', item.node));
  if item.node is not null then
    insert into backstitch.inbox_answer (id, node, error) values (item.id, item.node, p_error);
  end if;
  return true;
end $$;

-- An id as the engine makes them (RFC 9562, version 7; the last byte is the shard).
create function backstitch.new_saga_id() returns uuid language plpgsql volatile as $$
declare
  milliseconds bigint := floor(extract(epoch from clock_timestamp()) * 1000);
  bytes bytea := uuid_send(gen_random_uuid());
begin
  bytes := overlay(bytes placing substring(int8send(milliseconds) from 3 for 6) from 1 for 6);
  bytes := set_byte(bytes, 6, 112 | (get_byte(bytes, 6) & 15));
  return encode(bytes, 'hex')::uuid;
end $$;
create function backstitch.shard_of(p_saga uuid) returns smallint language sql immutable as $$
  select get_byte(uuid_send(p_saga), 15)::smallint
$$;

-- How many bytes a value has as compact JSON text; jsonb writes a space behind every colon and comma.
create function backstitch.json_bytes(value jsonb) returns bigint
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select (octet_length(value::text) - coalesce(sum(greatest(
            case jsonb_typeof(inner_value)
              when 'array' then jsonb_array_length(inner_value) - 1
              else 2 * (select count(*) from jsonb_object_keys(inner_value)) - 1 end, 0)), 0))::bigint
    from jsonb_path_query(value, 'strict $.** ? (@.type() == "object" || @.type() == "array")') inner_value
$$;
-- Whether an integral number outside 64 bits is the shortest text of its double. PostgreSQL's own text
-- leaves out the bounds between two doubles, so for 1e23 it has more digits than needed.
create function backstitch.is_shortest(number numeric) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp set extra_float_digits = 1 as $$
  select number = own or length(rtrim(abs(number)::text, '0')) < length(rtrim(abs(own)::text, '0'))
    from (select number::float8::text::numeric as own) o
$$;
-- The three functions that follow run under the search path of flaw_of_command, their only caller: a setting of their
-- own would cost each start more than they do.

-- What no saga can hold, as the engine's own gates judge it (docs/language.md, Limits): null, or what is
-- wrong with the value. Larger than every double is 2^1024 - 2^970, from where on binary64 rounds up.
create function backstitch.flaw_of(value jsonb, bytes_max integer) returns text
language plpgsql immutable as $$
declare
  number numeric;
begin
  if octet_length(value::text) > bytes_max and backstitch.json_bytes(value) > bytes_max then
    return format('has %s bytes; at most %s are taken', backstitch.json_bytes(value), bytes_max);
  end if;
  if jsonb_path_exists(value, 'strict $.**{64 to last} ? (@.type() == "object" || @.type() == "array")') then
    return 'is nested deeper than 64';
  end if;
  for number in
    select n::numeric from jsonb_path_query(value, 'strict $.** ? (@.type() == "number")') n
  loop
    if abs(number) >= power(2::numeric, 1024) - power(2::numeric, 970) then
      return 'holds a number that is larger than every double; send it as a string';
    end if;
    continue when number <> trunc(number) or number between -9223372036854775808 and 9223372036854775807;
    if not backstitch.is_shortest(number) then
      return format('holds %s, an integer that does not fit in 64 bits; send it as a string', number);
    end if;
  end loop;
  return null;
end $$;
create function backstitch.flaw_of_key(what text, key jsonb) returns text
language sql immutable as $$
  select case when key is null or jsonb_typeof(key) = 'null' then null
              when jsonb_typeof(key) <> 'string' then what || ' is a text'
              when octet_length(key #>> '{}') not between 1 and 255 then what || ' has 1 to 255 bytes' end
$$;
create function backstitch.flaw_of_labels(labels jsonb) returns text
language plpgsql immutable as $$
declare
  flaw text;
begin
  if jsonb_typeof(labels) is distinct from 'object' then return 'labels are a JSON object of texts'; end if;
  if (select count(*) from jsonb_object_keys(labels)) > 16 then return 'a saga has at most 16 labels'; end if;
  select case when jsonb_typeof(l.value) <> 'string' then 'labels are a JSON object of texts'
              when octet_length(l.key) > 64 then 'the name of a label has at most 64 bytes'
              when octet_length(l.value #>> '{}') > 1024 then 'a label has at most 1024 bytes' end
    into flaw
    from jsonb_each(labels) l
   order by 1 limit 1;
  return flaw;
end $$;

-- What no command may be, whoever writes it into the inbox: null, or the flaw. The functions below refuse it with
-- BS422, and the table itself does not take it. Nodes send what has passed the gate of the engine.
create function backstitch.flaw_of_command(kind text, node text, definition text, data jsonb) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  flaw text;
begin
  if node is not null then return null; end if;
  if jsonb_typeof(data) <> 'object' then return 'a command is a JSON object'; end if;
  if kind = 'start' then
    if octet_length(definition) > 128 then return 'the name of a definition has at most 128 bytes'; end if;
    if jsonb_typeof(data->'input') is distinct from 'object' then return 'the input of a saga is a JSON object'; end if;
    flaw := backstitch.flaw_of(data->'input', 262144);
    if flaw is not null then return 'the input ' || flaw; end if;
    return coalesce(backstitch.flaw_of_labels(data->'labels'),
                    backstitch.flaw_of_key('a business key', data->'businessKey'),
                    backstitch.flaw_of_key('an idempotency key', data->'idempotencyKey'));
  end if;
  if kind <> 'signal' then return 'by SQL come starts and signals only'; end if;
  if coalesce(data->>'name', '') = '' then return 'a signal has a name'; end if;
  if octet_length(data->>'name') > 128 then return 'the name of a signal has at most 128 bytes'; end if;
  flaw := backstitch.flaw_of(coalesce(data->'payload', 'null'), 65536);
  if flaw is not null then return 'the payload ' || flaw; end if;
  return backstitch.flaw_of_key('an idempotency key', data->'key');
end $$;
alter table backstitch.inbox add constraint inbox_command_admitted
  check (backstitch.flaw_of_command(kind, node, definition, data) is null);

-- Whether what is asked for is what the saga of this key was asked for: definition and input as they were
-- sent, and the saga's own version where one is stated.
create function backstitch.is_repetition(
  known backstitch.saga_key, name text, input jsonb, version bigint, digest text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(is_repetition.version = known.version, true)
     and (coalesce(known.sql_hash = digest, false)
          or exists (select 1 from backstitch.saga s
                      where s.id = known.saga_id and s.definition = is_repetition.name
                        and coalesce(known.input, s.input) = is_repetition.input)
          or exists (select 1 from backstitch.inbox i
                      where i.saga_id = known.saga_id and i.kind = 'start'
                        and i.definition = is_repetition.name
                        and i.data->'input' = is_repetition.input))
$$;

-- Starts a saga in the caller's own transaction: it begins when that commits, and only then. With a
-- business key or an idempotency key the call may be repeated: same key and input, same saga; other input
-- is refused. What the definition's schema refuses cannot be known here: such a saga ends FAILED at once,
-- nothing done. Errors: BS404 no such definition, BS409 key used with other input, BS422 input, labels or
-- keys that no saga can have.
--
-- A function of its own, without a default for the key, so that rights granted on start_saga below stay
-- what they are; and the key has a type of its own, so that PostgreSQL never takes the third argument of a
-- call for it, whatever text that is.
create domain backstitch.start_key as text;
create function backstitch.start_saga(
  name text, input jsonb, idempotency_key backstitch.start_key, labels jsonb default '{}',
  version bigint default null, business_key text default null)
returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  saga uuid := backstitch.new_saga_id();
  digest text;
  asked jsonb := jsonb_build_object('stated', version, 'input', input, 'businessKey', business_key,
                                   'idempotencyKey', idempotency_key, 'labels', coalesce(labels, '{}'));
  chosen bigint;
  reuses boolean;
  known backstitch.saga_key;
  failed uuid;
  flaw text;
begin
  if name is null then
    raise exception 'a start names a definition'
      using errcode = 'BS422', hint = 'Give the name of a registered definition as the first argument.';
  end if;
  flaw := backstitch.flaw_of_command('start', null, name, asked);
  if flaw is not null then
    raise exception '%', flaw
      using errcode = 'BS422', hint = 'Correct it and send it again; docs/language.md has the limits.';
  end if;
  -- Without a key nothing is compared, and the document of a definition is large.
  if coalesce(idempotency_key, business_key) is not null then digest := md5(name || chr(10) || input::text); end if;

  -- Whoever comes second to a key begins anew, and then finds it.
  loop
    if idempotency_key is not null then
      select * into known from backstitch.saga_key k where k.scope = 'key' and k.key = idempotency_key;
      if found then
        if known.removed is not null then
          raise exception 'the idempotency key % started the saga %, which has ended and was removed', idempotency_key, known.saga_id
            using errcode = 'BS409', hint = 'Use a new key for another start.';
        end if;
        if backstitch.is_repetition(known, name, input, version, digest) then return known.saga_id; end if;
        raise exception 'the idempotency key % started the saga % with other input or of another version', idempotency_key, known.saga_id
          using errcode = 'BS409', hint = 'Use a new key for another start.';
      end if;
    end if;
    select d.version, business_key is not null and d.document->>'businessKeyReuse' is not distinct from 'afterFailed'
      into chosen, reuses
      from backstitch.definition d
     where d.name = start_saga.name
       and case when start_saga.version is null then d.active else d.version = start_saga.version end;
    failed := null;
    if business_key is not null then
      select * into known from backstitch.saga_key k
       where k.scope = 'business:' || name and k.key = business_key;
      if found and reuses and idempotency_key is not null
         and (known.removed = 'FAILED'
              or exists (select 1 from backstitch.saga s where s.id = known.saga_id and s.status = 'FAILED')) then
        failed := known.saga_id;
      elsif found then
        if known.removed is not null then
          raise exception 'the business key % of % belongs to the saga %, which has ended and was removed', business_key, name, known.saga_id
            using errcode = 'BS409', hint = 'Use another key.';
        end if;
        if backstitch.is_repetition(known, name, input, version, digest) then
          if idempotency_key is null then return known.saga_id; end if;
          insert into backstitch.saga_key (saga_id, version, scope, key, hash, input, sql_hash)
            values (known.saga_id, known.version, 'key', idempotency_key, known.hash, known.input, digest)
            on conflict on constraint saga_key_pkey do nothing;
          continue when not found;
          return known.saga_id;
        end if;
        if known.hash = '' then
          raise exception 'a start with other input under the business key % of % has not been taken up yet', business_key, name
            using errcode = 'BS409', hint = 'Use another key; this one is free again if that start cannot be kept.';
        end if;
        raise exception 'the business key % of % belongs to the saga %, which has other input', business_key, name, known.saga_id
          using errcode = 'BS409', hint = 'Use another key, or the input the saga was started with.';
      end if;
    end if;
    if chosen is null then
      raise exception 'there is no definition % %', quote_literal(left(name, 128)),
        coalesce('version ' || version, 'with an active version')
        using errcode = 'BS404', hint = 'Register it first: backstitch register FILE.';
    end if;

    if idempotency_key is not null then
      insert into backstitch.saga_key (saga_id, version, scope, key, hash, sql_hash)
        values (saga, chosen, 'key', idempotency_key, '', digest)
        on conflict on constraint saga_key_pkey do nothing;
      continue when not found;
    end if;
    exit when business_key is null;
    if failed is null then
      insert into backstitch.saga_key (saga_id, version, scope, key, hash, sql_hash)
        values (saga, chosen, 'business:' || name, business_key, '', digest)
        on conflict on constraint saga_key_pkey do nothing;
    else
      update backstitch.saga_key k set saga_id = saga, version = chosen, hash = '', sql_hash = digest, input = null,
             generation = k.generation + 1, removed = null, expires_at = null
       where k.scope = 'business:' || name and k.key = business_key and k.saga_id = failed;
    end if;
    exit when found;
    delete from backstitch.saga_key k where k.saga_id = saga;
  end loop;

  insert into backstitch.inbox (saga_id, shard, kind, definition, version, data)
    values (saga, backstitch.shard_of(saga), 'start', name, chosen, asked);
  return saga;
end $$;
create function backstitch.start_saga(
  name text, input jsonb, business_key text default null, labels jsonb default '{}',
  version bigint default null)
returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  return backstitch.start_saga(name, input, null::backstitch.start_key, labels, version, business_key);
end $$;

-- Sends a signal in the caller's own transaction. Whoever may call this may send any signal. One that the
-- wait turns away later (its schema, its `accept`) is recorded in backstitch.audit as `signal-refused`.
-- With an idempotency key the call may be repeated: the saga takes the same signal under it once.
-- Errors: BS404 no such saga, BS409 it has ended, BS422 a name, payload or key that cannot be sent, BS429 100
-- signals by SQL wait for it already.
create function backstitch.signal(saga_id uuid, name text, payload jsonb, idempotency_key text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  status text;
  sent jsonb := jsonb_build_object('name', name, 'payload', coalesce(payload, 'null'), 'by', 'sql:' || session_user,
                                   'roles', jsonb_build_array('*'), 'key', idempotency_key);
  flaw text := backstitch.flaw_of_command('signal', null, null, sent);
begin
  if flaw is not null then
    raise exception '%', flaw
      using errcode = 'BS422', hint = 'Correct it and send it again; docs/language.md has the limits.';
  end if;
  select s.status into status from backstitch.saga s where s.id = signal.saga_id;
  if not found and not exists (select 1 from backstitch.inbox i
                                where i.saga_id = signal.saga_id and i.kind = 'start') then
    raise exception 'there is no saga %', saga_id using errcode = 'BS404';
  end if;
  if status in ('COMPLETED', 'FAILED', 'FAILED_INCOMPLETE') then
    raise exception 'the saga % has ended (%)', saga_id, status using errcode = 'BS409';
  end if;
  if backstitch.is_inbox_full(saga_id, false) then
    raise exception '100 signals by SQL wait for the saga % already', saga_id
      using errcode = 'BS429', hint = 'Send it again when the saga has taken some.';
  end if;
  insert into backstitch.inbox (saga_id, shard, kind, data)
    values (saga_id, backstitch.shard_of(saga_id), 'signal', sent);
end $$;
create function backstitch.signal(saga_id uuid, name text, payload jsonb default 'null') returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform backstitch.signal(saga_id, name, payload, null);
end $$;

-- No function of the schema is for everybody; docs/sql.md says what to grant, and a test lists pg_proc.
revoke execute on all functions in schema backstitch from public;
