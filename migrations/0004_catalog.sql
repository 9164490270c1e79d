-- Why: definitions and services, with a revision that readers can follow. Revisions are given out under
-- a lock that lasts until commit: so they become visible in their order, and "everything after n" never
-- misses one. The lock is that of a row of ours: an advisory lock could be held by any role of the database.
create table backstitch.catalog (
  revision bigint  not null,
  only_row boolean not null default true,
  constraint catalog_pkey primary key (only_row),
  constraint catalog_has_one_row check (only_row)
);
insert into backstitch.catalog (revision) values (0);
create function backstitch.next_catalog_revision() returns bigint language sql as $$
  update backstitch.catalog set revision = revision + 1 returning revision
$$;

create function backstitch.activate_definition(p_name text, p_version bigint) returns boolean
language plpgsql as $$
declare
  next_revision bigint := backstitch.next_catalog_revision();
begin
  if not exists (select 1 from backstitch.definition where name = p_name and version = p_version) then
    return false;
  end if;
  update backstitch.definition set active = false, revision = next_revision
   where name = p_name and active and version <> p_version;
  update backstitch.definition set active = true, revision = next_revision
   where name = p_name and version = p_version and not active;
  return true;
end $$;

-- `created`, `same` or `conflict`.
create function backstitch.put_definition(
  p_name text, p_version bigint, p_hash text, p_document json, p_findings json,
  p_registered_at timestamptz, p_activate boolean) returns text
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
  insert into backstitch.definition (name, version, revision, registered_at, active, hash, document, findings)
    values (p_name, p_version, next_revision, coalesce(p_registered_at, now()), is_first, p_hash,
            p_document, p_findings);
  if p_activate and not is_first then perform backstitch.activate_definition(p_name, p_version); end if;
  return 'created';
end $$;

-- A service may change; `created` also when it did.
create function backstitch.put_service(p_name text, p_document json) returns text
language plpgsql as $$
declare
  next_revision bigint := backstitch.next_catalog_revision();
begin
  if exists (select 1 from backstitch.service
              where name = p_name and document::text = p_document::text) then
    return 'same';
  end if;
  insert into backstitch.service (name, revision, document) values (p_name, next_revision, p_document)
    on conflict (name) do update set revision = excluded.revision, document = excluded.document;
  return 'created';
end $$;

-- The secret of this installation: what callback tokens and idempotency keys are derived from (HMAC), one
-- for all nodes, the same again after a restore, another one in every installation. Who may read sagas must
-- not be able to answer for their participants, or to foresee keys: row security without a policy hides the
-- row from every role but the owner, whatever is granted on tables. The engine's role reads it by a function,
-- which it alone may execute.
create table backstitch.installation (
  only_row boolean not null default true,
  secret   bytea   not null default uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()),
  constraint installation_pkey primary key (only_row),
  constraint installation_is_one_row check (only_row)
);
alter table backstitch.installation enable row level security;
insert into backstitch.installation default values;
create function backstitch.read_secret() returns bytea
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select secret from backstitch.installation
$$;
