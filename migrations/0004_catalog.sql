-- Why: definitions and services, with a revision that readers can follow. Revisions are given out under
-- a lock that lasts until commit: so they become visible in their order, and "everything after n" never
-- misses one.
create function backstitch.next_catalog_revision() returns bigint language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('backstitch.catalog', 0));
  return nextval('backstitch.catalog_revision');
end $$;

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
