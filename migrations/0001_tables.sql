-- Why: everything a durable saga needs. Columns of fixed width stand first, so that no row pays for
-- padding. The log has one index and the saga row few, because each index is paid at every start or
-- append; they are partial wherever a reader's question allows it.

create function backstitch.saga_statuses() returns text[]
language sql immutable parallel safe as $$
  select array['RUNNING', 'COMPENSATING', 'COMPLETED', 'FAILED', 'FAILED_INCOMPLETE', 'SUSPENDED']
$$;

create table backstitch.saga (
  id            uuid        not null,
  version       bigint      not null,
  last_sequence bigint      not null,
  started_at    timestamptz not null,
  ended_at      timestamptz,
  deadline      timestamptz,
  wake_at       timestamptz,
  parent        uuid,
  shard         smallint    not null,
  pivot_passed  boolean     not null default false,
  status        text        not null,
  definition    text        not null,
  business_key  text,
  failure_code  text,
  labels        jsonb       not null,
  input         jsonb       not null,
  output        jsonb,
  failure       jsonb,
  sensitive     jsonb,
  constraint saga_pkey primary key (id),
  constraint saga_status_known check (status = any (backstitch.saga_statuses()))
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
        autovacuum_analyze_scale_factor = 0.05);
comment on table backstitch.saga is
  'One row a saga, written at its start, when it ends, sleeps, or is suspended. The log is the truth.';
comment on column backstitch.saga.last_sequence is 'Of the log when this row was last written.';
comment on column backstitch.saga.sensitive is
  'Which parts of its values are marked x-sensitive or made of such, as JSON pointers: the views mask them.'
  ' The tables hold the values as they are.';
comment on column backstitch.saga.wake_at is
  'Set: the saga left its node''s memory until then; of a suspended one: since then it goes on all the same.'
  ' Null and active: some node holds it in memory.';

-- What a node asks for: which of my shards' sagas are due, and, after a take-over, which were in the
-- dead node's memory. Two small indexes instead of one: the first is not touched at all by sagas that
-- never sleep, the second gives pages in the order of ids.
create index saga_asleep on backstitch.saga (shard, wake_at)
  where wake_at is not null and status in ('RUNNING', 'COMPENSATING', 'SUSPENDED');
create index saga_resident on backstitch.saga (id)
  where wake_at is null and status in ('RUNNING', 'COMPENSATING');
-- What an operator asks for: always the newest first. Without a filter the primary key walked
-- backwards is the list; of each of these a page is one walk. Why `nulls last`: list_query.cpp.
create index saga_by_definition on backstitch.saga (definition, status, id desc nulls last);
create index saga_by_business_key on backstitch.saga (business_key, id desc nulls last)
  where business_key is not null;
create index saga_by_failure_code on backstitch.saga (failure_code, id desc nulls last)
  where failure_code is not null;

-- By which label a saga can be found; the labels themselves stand in its row. A hash, because a
-- label has any length.
create table backstitch.saga_label (
  label   bigint not null,
  saga_id uuid   not null
) with (autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_vacuum_insert_threshold = 100000);
create unique index saga_by_label on backstitch.saga_label (label, saga_id desc nulls last);
create function backstitch.label_hash(name text, value text) returns bigint
language sql immutable parallel safe as $$
  select hashtextextended(name || chr(31) || value, 0)
$$;
-- Of the first of them.
create function backstitch.some_label_hash(labels jsonb) returns bigint
language sql immutable parallel safe as $$
  select backstitch.label_hash(key, value) from jsonb_each_text(labels) order by key limit 1
$$;

create table backstitch.saga_log (
  saga_id  uuid        not null,
  sequence bigint      not null,
  at       timestamptz not null,
  type     text        not null,
  path     text        not null,
  data     jsonb       not null,
  constraint saga_log_pkey primary key (saga_id, sequence)
) with (autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_vacuum_insert_threshold = 100000,
        autovacuum_analyze_scale_factor = 0.05);
comment on table backstitch.saga_log is 'What happened, saga by saga, without gaps. Only ever appended to.';

create table backstitch.saga_key (
  saga_id uuid   not null,
  version bigint not null,
  scope   text   not null,
  key     text   not null,
  hash    text   not null,
  input   jsonb,
  constraint saga_key_pkey primary key (scope, key)
);
comment on table backstitch.saga_key is 'Under which keys a start is idempotent. The hash tells a repeat from a mistake.';
comment on column backstitch.saga_key.input is 'As it was sent, if the saga''s own differs by what the schema added.';

-- A node's lease ends with its row here; what it owns stands in shard. So a renewal writes one row and
-- every append is fenced by one row lock (see append_batch).
create table backstitch.node (
  name       text        not null,
  expires_at timestamptz not null,
  renewed_at timestamptz not null,
  started_at timestamptz not null,
  shards_max smallint    not null,
  address    text        not null,
  constraint node_pkey primary key (name)
) with (fillfactor = 10, autovacuum_vacuum_threshold = 100, autovacuum_vacuum_scale_factor = 0);

create table backstitch.shard (
  shard smallint not null,
  epoch bigint   not null default 0,
  node  text,
  constraint shard_pkey primary key (shard),
  constraint shard_node_known foreign key (node) references backstitch.node (name),
  constraint shard_in_range check (shard between 0 and 255)
) with (fillfactor = 50);
comment on column backstitch.shard.epoch is 'Raised whenever the shard changes hands, also between two processes of one node name.';
insert into backstitch.shard (shard) select generate_series(0, 255);

create sequence backstitch.catalog_revision;

-- `json`, not `jsonb`: the document is given back as it was hashed.
create table backstitch.definition (
  name          text        not null,
  version       bigint      not null,
  revision      bigint      not null,
  registered_at timestamptz not null,
  active        boolean     not null,
  hash          text        not null,
  document      json        not null,
  findings      json        not null,
  constraint definition_pkey primary key (name, version)
);
create unique index definition_one_active on backstitch.definition (name) where active;
create index definition_by_revision on backstitch.definition (revision);

create function backstitch.definition_is_immutable() returns trigger language plpgsql as $$
begin
  if (new.name, new.version, new.hash, new.document::text)
      is distinct from (old.name, old.version, old.hash, old.document::text) then
    raise exception 'definition %/% cannot change; register a new version', old.name, old.version;
  end if;
  return new;
end $$;
create trigger definition_is_immutable before update on backstitch.definition
  for each row execute function backstitch.definition_is_immutable();

create table backstitch.service (
  name     text   not null,
  revision bigint not null,
  document json   not null,
  constraint service_pkey primary key (name)
);
create index service_by_revision on backstitch.service (revision);

create table backstitch.audit (
  id      bigint      generated always as identity,
  at      timestamptz not null default now(),
  saga_id uuid,
  actor   text        not null,
  action  text        not null,
  reason  text        not null,
  detail  jsonb,
  constraint audit_pkey primary key (id)
);
create index audit_by_saga on backstitch.audit (saga_id);

-- Payloads above the toast threshold compress faster with lz4, where the server has it.
do $$
begin
  alter table backstitch.saga alter input set compression lz4, alter output set compression lz4;
  alter table backstitch.saga_log alter data set compression lz4;
exception when feature_not_supported then null;
end $$;
