-- Why: sagas that are steps of others, and sagas that are not kept for ever. A child's row names its
-- parent, and a definition remembers which versions of its children it was registered with, so that a
-- later one changes no parent.

alter table backstitch.definition add column pins json not null default '{}';
comment on column backstitch.definition.pins is
  'What its sub-sagas were when it was registered: {"<step>": {"version", "kind"}}.';
create index saga_by_parent on backstitch.saga (parent) where parent is not null;

-- `retention`: set when a saga ends whose definition has one. A child goes with its parent, which may
-- still have it undone, so it has no time of its own.
alter table backstitch.saga add column expires_at timestamptz;
create index saga_expiring on backstitch.saga (expires_at) where expires_at is not null;
create index saga_key_by_saga on backstitch.saga_key (saga_id);
create index saga_key_expiring on backstitch.saga_key (expires_at) where expires_at is not null;

-- At most p_limit sagas with their children, so that live traffic never waits long for it, nor it for an open SQL
-- transaction that is about to give the business key of a FAILED saga to another one. The plan is
-- known, each row by its key; the planner, who cannot know how many labels a saga has, would rather
-- read whole tables.
-- The keys stay: a start that is repeated after its saga was removed must not be taken for the first one, whose
-- effects the participants may still remember.
create function backstitch.remove_expired(p_shards smallint[], p_limit integer, p_key_retention_ms bigint)
returns integer
language sql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
set lock_timeout = '20ms'
as $$
  delete from backstitch.saga_key k
   using (select scope, key from backstitch.saga_key
           where expires_at <= now() order by expires_at limit p_limit for update skip locked) old
   where k.scope = old.scope and k.key = old.key;
  with recursive expired as (
    select id from backstitch.saga
     where expires_at <= now() and shard = any (p_shards)
     order by expires_at limit p_limit for update skip locked),
  gone as (
    select id from expired
    union
    select child.id from backstitch.saga child join gone on child.parent = gone.id),
  logs as (delete from backstitch.saga_log using gone where saga_id = gone.id),
  child_keys as (delete from backstitch.saga_key using gone where saga_id = gone.id and scope = 'child'),
  keys as (
    update backstitch.saga_key k
       set removed = s.status, expires_at = now() + p_key_retention_ms * interval '1 ms'
      from gone join backstitch.saga s on s.id = gone.id
     where k.saga_id = gone.id and k.scope <> 'child'),
  labels as (
    delete from backstitch.saga_label l
     using gone join backstitch.saga s on s.id = gone.id
           cross join lateral jsonb_each_text(s.labels) e
     where l.label = backstitch.label_hash(e.key, e.value) and l.saga_id = s.id),
  rows as (delete from backstitch.saga using gone where saga.id = gone.id)
  select count(*)::integer from expired
$$;

drop function backstitch.put_definition(text, bigint, text, json, json, timestamptz, boolean);
-- `created`, `same` or `conflict`.
create function backstitch.put_definition(
  p_name text, p_version bigint, p_hash text, p_document json, p_findings json,
  p_registered_at timestamptz, p_activate boolean, p_pins json) returns text
language plpgsql as $$
declare
  next_revision bigint := backstitch.next_catalog_revision();
  known_hash text;
  is_first boolean;
begin
  select hash into known_hash from backstitch.definition where name = p_name and version = p_version;
  if found then
    if known_hash <> p_hash then return 'conflict'; end if;
    if p_activate then perform backstitch.activate_definition(p_name, p_version); end if;
    return 'same';
  end if;
  is_first := not exists (select 1 from backstitch.definition where name = p_name);
  insert into backstitch.definition (name, version, revision, registered_at, active, hash, document, findings,
                                     pins)
    values (p_name, p_version, next_revision, coalesce(p_registered_at, now()), is_first, p_hash,
            p_document, p_findings, p_pins);
  if p_activate and not is_first then perform backstitch.activate_definition(p_name, p_version); end if;
  return 'created';
end $$;
