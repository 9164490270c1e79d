-- Why: sagas that are steps of others, and sagas that are not kept for ever. A child's row names its
-- parent, and a definition remembers which versions of its children it was registered with, so that a
-- later one changes no parent. The steps view learns the events of blocks, waits and children.

alter table backstitch.definition add column pins json not null default '{}';
comment on column backstitch.definition.pins is
  'What its sub-sagas were when it was registered: {"<step>": {"version", "kind"}}.';
create index saga_by_parent on backstitch.saga (parent) where parent is not null;

-- `retention`: set when a saga ends whose definition has one. A child goes with its parent, which may
-- still have it undone, so it has no time of its own.
alter table backstitch.saga add column expires_at timestamptz;
create index saga_expiring on backstitch.saga (expires_at) where expires_at is not null;
create index saga_key_by_saga on backstitch.saga_key (saga_id);

-- At most p_limit sagas with their children, so that live traffic never waits long for it. The plan is
-- known, each row by its key; the planner, who cannot know how many labels a saga has, would rather
-- read whole tables.
create function backstitch.remove_expired(p_shards smallint[], p_limit integer) returns integer
language sql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
  with recursive expired as (
    select id from backstitch.saga
     where expires_at <= now() and shard = any (p_shards)
     order by expires_at limit p_limit for update skip locked),
  gone as (
    select id from expired
    union
    select child.id from backstitch.saga child join gone on child.parent = gone.id),
  logs as (delete from backstitch.saga_log using gone where saga_id = gone.id),
  keys as (delete from backstitch.saga_key using gone where saga_id = gone.id),
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

drop function backstitch.append_batch;
-- As before (0002_append.sql says why), with the parent of a start, the end of what is kept, and what is
-- taken from the inbox (0007_inbox.sql). Outcomes: 0 written, 1 duplicate, 2 conflict, 3 fenced,
-- 4 reserved.
create function backstitch.append_batch(
  p_node text,
  p_item_saga uuid[], p_item_shard smallint[], p_item_epoch bigint[], p_item_expected bigint[],
  p_event_item integer[], p_event_saga uuid[], p_event_sequence bigint[], p_event_at timestamptz[],
  p_event_type text[], p_event_path text[], p_event_data jsonb[],
  p_start_item integer[], p_start_sequence bigint[], p_start_version bigint[],
  p_start_at timestamptz[], p_start_deadline timestamptz[], p_start_definition text[],
  p_start_business_key text[], p_start_labels jsonb[], p_start_input jsonb[],
  p_start_parent uuid[],
  p_key_item integer[], p_key_scope text[], p_key_key text[], p_key_hash text[],
  p_row_item integer[], p_row_sequence bigint[], p_row_ended_at timestamptz[],
  p_row_wake_at timestamptz[], p_row_pivot_passed boolean[], p_row_status text[],
  p_row_failure_code text[], p_row_output jsonb[], p_row_failure jsonb[],
  p_row_expires_at timestamptz[],
  p_audit_item integer[], p_audit_actor text[], p_audit_action text[], p_audit_reason text[],
  p_audit_detail jsonb[],
  p_inbox_item integer[], p_inbox_id bigint[], p_inbox_error jsonb[])
returns table (item integer, outcome integer, existing uuid, same_input boolean)
language plpgsql as $$
#variable_conflict use_column
declare
  out_item integer[];
  out_outcome integer[];
  duplicate_item integer[] := '{}';
  duplicate_saga uuid[];
  duplicate_same boolean[];
  reserved_item integer[] := '{}';
  consumed_item integer[] := '{}';
begin
  perform 1 from backstitch.node n where n.name = p_node for key share;

  if cardinality(p_key_item) > 0 then
    -- A start may carry several keys; the first that exists decides.
    -- A start from the inbox meets its own reservation; another start meets one as `reserved`.
    select array_agg(d.item), array_agg(d.saga_id), array_agg(d.same),
           coalesce(array_agg(d.item) filter (where d.reserved), '{}')
      into duplicate_item, duplicate_saga, duplicate_same, reserved_item
      from (select distinct on (k.item) k.item, s.saga_id, s.hash = k.hash as same,
                   s.hash = '' as reserved
              from (select unnest(p_key_item) as item, unnest(p_key_scope) as scope,
                           unnest(p_key_key) as key, unnest(p_key_hash) as hash,
                           generate_subscripts(p_key_item, 1) as position) k
              join backstitch.saga_key s on s.scope = k.scope and s.key = k.key
             where s.saga_id <> p_item_saga[k.item]
             order by k.item, k.position) d;
  end if;

  if cardinality(p_inbox_item) > 0 then
    select coalesce(array_agg(e.item), '{}') into consumed_item
      from (select unnest(p_inbox_item) as item, unnest(p_inbox_id) as id) e
     where not exists (select 1 from backstitch.inbox b where b.id = e.id);
  end if;

  select array_agg(c.item), array_agg(c.outcome) into out_item, out_outcome
    from (select i.item,
                 case when s.epoch is distinct from i.epoch then 3
                      when i.item = any (consumed_item) then 2
                      when i.item = any (reserved_item) then 4
                      when i.item = any (duplicate_item) then 1
                      when coalesce((select l.sequence from backstitch.saga_log l
                                      where l.saga_id = i.saga
                                      order by l.sequence desc limit 1), 0) <> i.expected then 2
                      else 0 end as outcome
            from (select generate_subscripts(p_item_saga, 1) as item, unnest(p_item_saga) as saga,
                         unnest(p_item_shard) as shard, unnest(p_item_epoch) as epoch,
                         unnest(p_item_expected) as expected) i
            left join backstitch.shard s on s.shard = i.shard and s.node = p_node) c
   where c.outcome <> 0;

  if cardinality(p_start_item) > 0 then
    insert into backstitch.saga (id, version, last_sequence, started_at, deadline, shard, parent,
                                 status, definition, business_key, labels, input)
      select p_item_saga[e.item], e.version, e.sequence, e.at, e.deadline, p_item_shard[e.item],
             e.parent, 'RUNNING', e.definition, e.business_key, e.labels, e.input
        from (select unnest(p_start_item) as item, unnest(p_start_sequence) as sequence,
                     unnest(p_start_version) as version, unnest(p_start_at) as at,
                     unnest(p_start_deadline) as deadline, unnest(p_start_definition) as definition,
                     unnest(p_start_business_key) as business_key,
                     unnest(p_start_labels) as labels, unnest(p_start_input) as input,
                     unnest(p_start_parent) as parent) e
       where out_item is null or e.item <> all (out_item);
    insert into backstitch.saga_label (label, saga_id)
      select backstitch.label_hash(l.key, l.value), p_item_saga[e.item]
        from (select unnest(p_start_item) as item, unnest(p_start_labels) as labels) e
       cross join lateral jsonb_each_text(e.labels) l
       where e.labels <> '{}' and (out_item is null or e.item <> all (out_item))
          on conflict do nothing;
    if cardinality(p_inbox_item) > 0 then
      update backstitch.saga_key s set hash = e.hash
        from (select unnest(p_key_item) as item, unnest(p_key_scope) as scope,
                     unnest(p_key_key) as key, unnest(p_key_hash) as hash) e
       where s.scope = e.scope and s.key = e.key and s.saga_id = p_item_saga[e.item]
         and (out_item is null or e.item <> all (out_item));
    end if;
    insert into backstitch.saga_key (saga_id, scope, key, hash)
      select p_item_saga[e.item], e.scope, e.key, e.hash
        from (select unnest(p_key_item) as item, unnest(p_key_scope) as scope,
                     unnest(p_key_key) as key, unnest(p_key_hash) as hash) e
       where (out_item is null or e.item <> all (out_item))
         and (cardinality(p_inbox_item) = 0
              or not exists (select 1 from backstitch.saga_key s
                              where s.scope = e.scope and s.key = e.key and s.saga_id = p_item_saga[e.item]));
    -- A start that was promised and cannot be kept gives its key back.
    if cardinality(p_inbox_item) > 0 then
      delete from backstitch.saga_key s
       using (select unnest(p_start_item) as item) e
       where s.saga_id = p_item_saga[e.item] and s.hash = ''
         and (out_item is null or e.item <> all (out_item));
    end if;
  end if;

  insert into backstitch.saga_log (saga_id, sequence, at, type, path, data)
    select e.saga, e.sequence, e.at, e.type, e.path, e.data
      from (select unnest(p_event_item) as item, unnest(p_event_saga) as saga,
                   unnest(p_event_sequence) as sequence, unnest(p_event_at) as at,
                   unnest(p_event_type) as type, unnest(p_event_path) as path,
                   unnest(p_event_data) as data) e
     where out_item is null or e.item <> all (out_item);

  if cardinality(p_row_item) > 0 then
    update backstitch.saga g
       set last_sequence = e.sequence, ended_at = e.ended_at, wake_at = e.wake_at,
           pivot_passed = e.pivot_passed, status = e.status, failure_code = e.failure_code,
           output = e.output, failure = e.failure, expires_at = e.expires_at
      from (select unnest(p_row_item) as item, unnest(p_row_sequence) as sequence,
                   unnest(p_row_ended_at) as ended_at, unnest(p_row_wake_at) as wake_at,
                   unnest(p_row_pivot_passed) as pivot_passed, unnest(p_row_status) as status,
                   unnest(p_row_failure_code) as failure_code, unnest(p_row_output) as output,
                   unnest(p_row_failure) as failure,
                   unnest(p_row_expires_at) as expires_at) e
     where g.id = p_item_saga[e.item] and (out_item is null or e.item <> all (out_item));
  end if;

  if cardinality(p_audit_item) > 0 then
    insert into backstitch.audit (saga_id, actor, action, reason, detail)
      select p_item_saga[e.item], e.actor, e.action, e.reason, e.detail
        from (select unnest(p_audit_item) as item, unnest(p_audit_actor) as actor,
                     unnest(p_audit_action) as action, unnest(p_audit_reason) as reason,
                     unnest(p_audit_detail) as detail) e
       where out_item is null or e.item <> all (out_item);
  end if;

  if cardinality(p_inbox_item) > 0 then
    with settled as (
      delete from backstitch.inbox b
       using (select unnest(p_inbox_item) as item, unnest(p_inbox_id) as id,
                     unnest(p_inbox_error) as error) e
       where b.id = e.id and (out_item is null or e.item <> all (out_item))
       returning b.id, b.node, e.error)
    insert into backstitch.inbox_answer (id, node, error)
      select id, node, error from settled where node is not null;
  end if;

  if out_item is not null then
    return query
      select f.item, f.outcome,
             case when f.outcome = 1 then duplicate_saga[array_position(duplicate_item, f.item)] end,
             case when f.outcome = 1 then duplicate_same[array_position(duplicate_item, f.item)] end
        from unnest(out_item, out_outcome) f(item, outcome);
  end if;
end $$;

create or replace view backstitch.steps as
  select l.saga_id,
         l.path,
         case (array_agg(l.type order by l.sequence desc) filter (where l.type in
                 ('StepScheduled', 'BlockStarted', 'StepWaiting', 'ChildScheduled', 'StepSkipped',
                  'StepSucceeded', 'StepFailed', 'StepUnknown', 'StepCompensationScheduled',
                  'ChildUndoScheduled', 'StepCompensated', 'StepCompensationFailed',
                  'StepCompensationSkipped')))[1]
           when 'StepScheduled' then 'running'
           when 'BlockStarted' then 'running'
           when 'StepWaiting' then 'waiting'
           when 'ChildScheduled' then 'waiting'
           when 'StepSkipped' then 'skipped'
           when 'StepSucceeded' then 'succeeded'
           when 'StepFailed' then 'failed'
           when 'StepUnknown' then 'unknown'
           when 'StepCompensationScheduled' then 'compensating'
           when 'ChildUndoScheduled' then 'compensating'
           when 'StepCompensated' then 'compensated'
           when 'StepCompensationFailed' then 'compensation-failed'
           when 'StepCompensationSkipped' then 'compensation-skipped'
         end as status,
         count(*) filter (where l.type = 'StepScheduled'
           or (l.type = 'AttemptStarted' and l.data ->> 'phase' = 'forward')) as attempts,
         count(*) filter (where l.type = 'StepCompensationScheduled'
           or (l.type = 'AttemptStarted' and l.data ->> 'phase' = 'compensate')) as compensation_attempts,
         min(l.at) as started_at,
         max(l.at) filter (where l.type in ('StepSkipped', 'StepSucceeded', 'StepFailed', 'StepUnknown'))
           as ended_at,
         max(l.at) filter (where l.type in ('StepCompensated', 'StepCompensationFailed',
           'StepCompensationSkipped')) as compensated_at,
         (array_agg(l.data -> 'output' order by l.sequence desc)
           filter (where l.type = 'StepSucceeded'))[1] as output,
         (array_agg(l.data -> 'failure' order by l.sequence desc)
           filter (where l.type in ('AttemptFailed', 'StepFailed', 'StepUnknown',
             'StepCompensationFailed')))[1] as failure
    from backstitch.saga_log l
   where l.path <> ''
   group by l.saga_id, l.path;
