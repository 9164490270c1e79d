-- Why: commands for a saga from whoever does not hold it: another node, or SQL. They wait here until the
-- node that holds the saga's shard takes them, and go in the transaction that appends what they did; so
-- none is lost and none works twice. Answers go back to the node that asked; SQL asks for none, and what
-- is refused of its signals stands in the audit.

create table backstitch.inbox (
  id      bigint      generated always as identity,
  at      timestamptz not null default now(),
  saga_id uuid        not null,
  shard   smallint    not null,
  kind    text        not null,
  node    text,
  data    jsonb       not null,
  constraint inbox_pkey primary key (id),
  constraint inbox_kind_known check (kind in
    ('start', 'signal', 'callback', 'cancel', 'retry', 'suspend', 'skip', 'resolve'))
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
comment on column backstitch.inbox.node is 'Who wants an answer; null: nobody, it came by SQL.';
-- Starts may pile up; what is for sagas that run must not wait behind them.
create index inbox_starts on backstitch.inbox (id) where kind = 'start';
create index inbox_commands on backstitch.inbox (id) where kind <> 'start';
create unique index inbox_start_of on backstitch.inbox (saga_id) where kind = 'start';

create table backstitch.inbox_answer (
  id    bigint      not null,
  at    timestamptz not null default now(),
  node  text        not null,
  error jsonb,
  constraint inbox_answer_pkey primary key (node, id)
);

-- A key that a start by SQL holds until it is taken up: its hash is empty till then, because only the
-- engine knows the input with its defaults. What was asked for stays known by sql_hash.
alter table backstitch.saga_key add column sql_hash text;

-- A command from a node. Null: there is no such saga.
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
  -- Answers that nobody fetched: their node is no more.
  delete from backstitch.inbox_answer where at < now() - interval '1 hour';
  insert into backstitch.inbox (saga_id, shard, kind, node, data)
    values (p_saga, p_shard, p_kind, p_node, p_data) returning id into number;
  perform pg_notify('backstitch_inbox', '');
  return number;
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

-- Starts a saga in the caller's own transaction: it begins when that commits, and only then. With a
-- business key the call may be repeated: same key and input, same saga; other input is refused. What
-- the definition's schema refuses cannot be known here: such a saga ends FAILED at once, nothing done.
-- Errors: BS404 no such definition, BS409 key used with other input (or not known to be the same),
-- BS422 input or labels that no saga can have.
create function backstitch.start_saga(
  name text, input jsonb, business_key text default null, labels jsonb default '{}',
  version bigint default null)
returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  saga uuid := backstitch.new_saga_id();
  chosen bigint;
  known uuid;
  asked text := md5(input::text);
begin
  if jsonb_typeof(input) is distinct from 'object' then
    raise exception 'the input of a saga is a JSON object' using errcode = 'BS422';
  end if;
  if octet_length(input::text) > 262144 then
    raise exception 'the input has % bytes; at most 262144 are taken', octet_length(input::text)
      using errcode = 'BS422';
  end if;
  if jsonb_typeof(coalesce(labels, '{}')) <> 'object'
     or exists (select 1 from jsonb_each(coalesce(labels, '{}')) l where jsonb_typeof(l.value) <> 'string') then
    raise exception 'labels are a JSON object of texts' using errcode = 'BS422';
  end if;
  select d.version into chosen from backstitch.definition d
   where d.name = start_saga.name
     and case when start_saga.version is null then d.active else d.version = start_saga.version end;
  if not found then
    raise exception 'there is no definition % %', name, coalesce('version ' || version, 'with an active version')
      using errcode = 'BS404', hint = 'Register it first: backstitch register FILE.';
  end if;

  if business_key is not null then
    insert into backstitch.saga_key (saga_id, scope, key, hash, sql_hash)
      values (saga, 'business:' || name, business_key, '', asked)
      on conflict on constraint saga_key_pkey do nothing;
    if not found then
      select k.saga_id into known from backstitch.saga_key k
       where k.scope = 'business:' || start_saga.name and k.key = start_saga.business_key
         and (k.sql_hash = asked
              or exists (select 1 from backstitch.saga s where s.id = k.saga_id and s.input = start_saga.input));
      if known is null then
        raise exception 'the business key % of % belongs to a saga with other input', business_key, name
          using errcode = 'BS409', hint = 'Use another key, or the input the saga was started with.';
      end if;
      return known;
    end if;
  end if;

  insert into backstitch.inbox (saga_id, shard, kind, data)
    values (saga, backstitch.shard_of(saga), 'start',
            jsonb_build_object('definition', name, 'version', chosen, 'stated', version, 'input', input,
                               'businessKey', business_key, 'labels', coalesce(labels, '{}')));
  perform pg_notify('backstitch_inbox', '');
  return saga;
end $$;

-- Sends a signal in the caller's own transaction. Whoever may call this may send any signal. One that the
-- wait turns away later (its schema, its `accept`) is recorded in backstitch.audit as `signal-refused`.
-- Errors: BS404 no such saga, BS409 it has ended, BS422 a name or payload that cannot be sent.
create function backstitch.signal(saga_id uuid, name text, payload jsonb default 'null') returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  status text;
begin
  if name is null or name = '' then
    raise exception 'a signal has a name' using errcode = 'BS422';
  end if;
  if octet_length(payload::text) > 262144 then
    raise exception 'the payload has % bytes; at most 262144 are taken', octet_length(payload::text)
      using errcode = 'BS422';
  end if;
  select s.status into status from backstitch.saga s where s.id = signal.saga_id;
  if not found and not exists (select 1 from backstitch.inbox i
                                where i.saga_id = signal.saga_id and i.kind = 'start') then
    raise exception 'there is no saga %', saga_id using errcode = 'BS404';
  end if;
  if status in ('COMPLETED', 'FAILED', 'FAILED_INCOMPLETE') then
    raise exception 'the saga % has ended (%)', saga_id, status using errcode = 'BS409';
  end if;
  insert into backstitch.inbox (saga_id, shard, kind, data)
    values (saga_id, backstitch.shard_of(saga_id), 'signal',
            jsonb_build_object('name', name, 'payload', coalesce(payload, 'null'),
                               'by', 'sql:' || session_user, 'roles', jsonb_build_array('*')));
  perform pg_notify('backstitch_inbox', '');
end $$;

-- They act with their owner's rights, so nobody has them unasked; docs/sql.md says what to grant.
revoke execute on function backstitch.start_saga(text, jsonb, text, jsonb, bigint) from public;
revoke execute on function backstitch.signal(uuid, text, jsonb) from public;
