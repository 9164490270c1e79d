-- Why: everything a durable saga needs. Columns of fixed width stand first, so that no row pays for
-- padding. The log has one index and the saga row few, because each index is paid at every start or
-- append; they are partial wherever a reader's question allows it. Text in a key or an index has the
-- collation "C": the order of any other one comes from a library of the operating system and changes with it,
-- and an index whose order is no longer that of its collation finds keys no more, so that a start would be repeated.

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
  status        text        collate "C" not null,
  definition    text        collate "C" not null,
  business_key  text        collate "C",
  failure_code  text        collate "C",
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
-- What waits for a person: of these there are few, and monitoring counts them.
create index saga_attention on backstitch.saga (id) where status in ('SUSPENDED', 'FAILED_INCOMPLETE');
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
-- So that a publication of this table does not keep `remove_expired` from deleting its rows.
alter table backstitch.saga_label replica identity using index saga_by_label;
create function backstitch.label_hash(name text, value text) returns bigint
language sql immutable parallel safe as $$
  select hashtextextended(name || chr(31) || value, 0)
$$;
-- Of the first of them.
create function backstitch.some_label_hash(labels jsonb) returns bigint
language sql immutable parallel safe as $$
  select backstitch.label_hash(key, value) from jsonb_each_text(labels) order by key collate "C" limit 1
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
  scope   text   collate "C" not null,
  key     text   collate "C" not null,
  hash    text   not null,
  input   jsonb,
  generation bigint not null default 0,
  removed text,
  expires_at timestamptz,
  constraint saga_key_pkey primary key (scope, key)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
comment on table backstitch.saga_key is 'Under which keys a start is idempotent. The hash tells a repeat from a mistake.';
comment on column backstitch.saga_key.generation is 'Of a business key: how many sagas it was taken from after they FAILED.';
comment on column backstitch.saga_key.removed is 'The status with which its saga ended, once retention has removed that; the key is kept until expires_at.';
comment on column backstitch.saga_key.input is 'As it was sent, if the saga''s own differs by what the schema added.';

-- A node's lease ends with its row here; what it owns stands in shard. So a renewal writes one row.
create table backstitch.node (
  incarnation    uuid        not null,
  expires_at     timestamptz not null,
  renewed_at     timestamptz not null,
  started_at     timestamptz not null,
  shards_max     smallint    not null,
  name           text        collate "C" not null,
  address        text        not null,
  session_pids   integer[]   not null,
  session_starts bigint[]    not null,
  renewals       bigint      not null default 0,
  constraint node_pkey primary key (name)
) with (fillfactor = 10, autovacuum_vacuum_threshold = 100, autovacuum_vacuum_scale_factor = 0);
comment on column backstitch.node.incarnation is 'Random for each start of a process under this name.';
comment on column backstitch.node.renewals is 'Of the row, by any process under this name: fewer than there were show that the database went back.';
comment on column backstitch.node.session_pids is
  'The server processes of its sessions, as of its last renewal; session_starts tells each from a later one with'
  ' the same number (pg_stat_activity.backend_start, in microseconds since 1970).';

-- What fences the appends of a node: see append_batch. Apart from node, because renewals update that row: under an
-- old snapshot each of its dead versions would be read again by each append.
create table backstitch.fence (
  incarnation uuid   not null,
  generation  bigint not null generated always as identity,
  node        text   collate "C" not null,
  constraint fence_pkey primary key (node),
  constraint fence_node_known foreign key (node) references backstitch.node (name) on delete cascade
);
comment on table backstitch.fence is 'Updated only, and always first, when shards are taken from the node.';
comment on column backstitch.fence.generation is 'A number that was never used before.';

create table backstitch.shard (
  shard smallint not null,
  epoch bigint   not null default 0,
  node  text     collate "C",
  proven  boolean not null default true,
  suspect boolean not null default false,
  constraint shard_pkey primary key (shard),
  constraint shard_node_known foreign key (node) references backstitch.node (name),
  constraint shard_in_range check (shard between 0 and 255)
) with (fillfactor = 50);
comment on column backstitch.shard.epoch is 'Raised whenever the shard changes hands, also between two processes of one node name.';
comment on column backstitch.shard.proven is 'Its owner has worked on everything that it found there, and lived on.';
comment on column backstitch.shard.suspect is 'Taken from a node that was lost before it had proven the shard: something in it may bring nodes down.';
insert into backstitch.shard (shard) select generate_series(0, 255);

-- `json`, not `jsonb`: the document is given back as it was hashed.
create table backstitch.definition (
  name          text        collate "C" not null,
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
  name     text   collate "C" not null,
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

-- What the program needs of this schema, as the catalogs had it when the last migration was applied. A node
-- compares, and refuses a schema in which something of it is missing or has changed. What is not listed may be
-- added: indexes, partitions, storage options, grants. The texts are the same on PostgreSQL 15 to 18.
create table backstitch.schema_object (
  name       text collate "C" not null,
  definition text not null,
  constraint schema_object_pkey primary key (name)
);
create view backstitch.schema_present as
  with relation as (
    select c.oid, c.relname, c.relkind, c.relrowsecurity from pg_class c
     where c.relnamespace = 'backstitch'::regnamespace and c.relkind in ('r', 'p', 'v'))
  select case r.relkind when 'v' then 'view ' else 'table ' end || r.relname as name,
         case when r.relrowsecurity then 'row security' else '' end as definition
    from relation r
  union all
  select 'column ' || r.relname || '.' || a.attname,
         format_type(a.atttypid, a.atttypmod)
         || case when a.attcollation <> t.typcollation then ' collate ' || k.collname else '' end
         || case when a.attnotnull then ' not null' else '' end
         || case a.attidentity when 'a' then ' identity' when 'd' then ' identity by default' else '' end
         || case when d.adbin is null then ''
                 else case a.attgenerated when 's' then ' generated ' else ' default ' end || pg_get_expr(d.adbin, d.adrelid) end
    from relation r
    join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    left join pg_collation k on k.oid = a.attcollation
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  union all
  select case o.contype when 'c' then 'check ' else 'key ' end || o.conname,
         case o.contype when 'c' then 'on ' || r.relname
                        else 'on ' || r.relname || ' ' || pg_get_constraintdef(o.oid) end
    from relation r join pg_constraint o on o.conrelid = r.oid and o.contype in ('p', 'u', 'f', 'c')
  union all
  -- Storage options are the operator's, and ONLY is said of the index of a table that has got partitions.
  select 'index ' || i.relname,
         replace(regexp_replace(pg_get_indexdef(x.indexrelid), ' WITH \([^)]*\)', ''), ' ON ONLY ', ' ON ')
         || case when x.indisvalid then '' else ' invalid' end
    from relation r join pg_index x on x.indrelid = r.oid join pg_class i on i.oid = x.indexrelid
   where not exists (select 1 from pg_constraint o where o.conindid = x.indexrelid and o.contype in ('p', 'u'))
  union all
  select 'trigger ' || g.tgname, 'on ' || r.relname || ' calls ' || p.proname
         || case when g.tgenabled = 'D' then ' disabled' else '' end
    from relation r join pg_trigger g on g.tgrelid = r.oid and not g.tgisinternal join pg_proc p on p.oid = g.tgfoid
  union all
  select 'function ' || p.proname || '(' || oidvectortypes(p.proargtypes) || ')',
         case when p.proretset then 'set of ' else '' end || format_type(p.prorettype, null) || ' ' || l.lanname
         || ' ' || p.provolatile::text || case when p.prosecdef then ' security definer' else '' end
         || coalesce(' ' || array_to_string(p.proconfig, ' '), '') || ' body ' || md5(p.prosrc)
    from pg_proc p join pg_language l on l.oid = p.prolang
   where p.pronamespace = 'backstitch'::regnamespace
  union all
  select 'domain ' || t.typname, format_type(t.typbasetype, t.typtypmod)
    from pg_type t where t.typnamespace = 'backstitch'::regnamespace and t.typtype = 'd';
create function backstitch.record_schema() returns void
language sql set search_path = pg_catalog, pg_temp as $$
  delete from backstitch.schema_object;
  insert into backstitch.schema_object (name, definition) select name, definition from backstitch.schema_present
$$;
-- @return nothing if all is there; `found` is null for what is missing
create function backstitch.schema_differences() returns table (name text, needed text, found text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select o.name, o.definition, p.definition
    from backstitch.schema_object o left join backstitch.schema_present p using (name)
   where p.definition is distinct from o.definition
   order by o.name collate "C"
$$;
