-- Why: what operators may query. The tables can change from one version to the next; these views keep
-- their columns. What is marked x-sensitive is masked in them as the engine masks what it renders, by the
-- pointers that a saga's row has; what participants answered is shown as it is.

-- @param path  parts of a JSON pointer; `*` stands for every item or member
create function backstitch.masked_at(value jsonb, path text[]) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  rest text[] := path[2:];
begin
  if value is null or jsonb_typeof(value) = 'null' then return value; end if;
  if cardinality(path) = 0 then return '"***"'; end if;
  if jsonb_typeof(value) = 'array' and path[1] = '*' then
    return (select coalesce(jsonb_agg(backstitch.masked_at(i.item, rest) order by i.position), '[]')
              from jsonb_array_elements(value) with ordinality i(item, position));
  end if;
  if jsonb_typeof(value) = 'object' and path[1] = '*' then
    return (select coalesce(jsonb_object_agg(m.key, backstitch.masked_at(m.value, rest)), '{}')
              from jsonb_each(value) m);
  end if;
  if jsonb_typeof(value) = 'object' and value ? path[1] then
    return jsonb_set(value, path[1:1], backstitch.masked_at(value -> path[1], rest));
  end if;
  return value;
end $$;
-- Roles that read the views need EXECUTE on `masked` and `masked_failure`, which PostgreSQL demands of whoever uses a view;
-- what these call in turn is called with their owner's rights.
-- @param pointers  an array of JSON pointers, or null
create function backstitch.masked(value jsonb, pointers jsonb) returns jsonb
language plpgsql immutable security definer set search_path = pg_catalog, pg_temp as $$
declare
  pointer text;
begin
  if value is null or pointers is null then return value; end if;
  for pointer in select jsonb_array_elements_text(pointers) loop
    value := backstitch.masked_at(value, array(
      select replace(replace(part, '~1', '/'), '~0', '~')
        from unnest((string_to_array(pointer, '/'))[2:]) part));
  end loop;
  return value;
end $$;
-- A failure may quote any value that its rule or expression read. Where anything of a saga is sensitive, what its
-- failures say is hidden as a whole, as in the list of the REST API.
create function backstitch.masked_failure(failure jsonb, sensitive jsonb) returns jsonb
language sql immutable security definer set search_path = pg_catalog, pg_temp as $$
  select case when sensitive is null or jsonb_typeof(failure) is distinct from 'object' then failure
              else failure || (select coalesce(jsonb_object_agg(m.key, '***'), '{}')
                                 from jsonb_each(failure) m
                                where m.key in ('message', 'details') and m.value <> 'null') end
$$;
create view backstitch.sagas as
  select id, definition, version, status,
         case when sensitive ? 'businessKey' then '***' else business_key end as business_key,
         case when sensitive ? 'labels'
              then (select jsonb_object_agg(l.key, case when s.sensitive -> 'labels' ? l.key then '"***"' else l.value end)
                      from jsonb_each(labels) l)
              else labels end as labels,
         backstitch.masked(input, sensitive -> 'input') as input,
         backstitch.masked(output, sensitive -> 'output') as output,
         backstitch.masked_failure(failure, sensitive) as failure, failure_code,
         pivot_passed, parent, deadline, wake_at, started_at, ended_at
    from backstitch.saga s;

-- One row a step that has been reached, put together from the log. A step's status is what the last
-- event that settles or moves it says.
create view backstitch.steps as
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
         backstitch.masked(
           (array_agg(l.data -> 'output' order by l.sequence desc) filter (where l.type = 'StepSucceeded'))[1],
           -- `reserve/holdSeats[0]/holdSeat` -> `holdSeat`
           s.sensitive -> 'steps' -> split_part(regexp_replace(l.path, '^.*/', ''), '[', 1) -> 'output') as output,
         backstitch.masked_failure(
           (array_agg(l.data -> 'failure' order by l.sequence desc)
             filter (where l.type in ('AttemptFailed', 'StepFailed', 'StepUnknown',
               'StepCompensationFailed')))[1], s.sensitive) as failure
    from backstitch.saga_log l
    left join backstitch.saga s on s.id = l.saga_id
   where l.path <> ''
   group by l.saga_id, l.path, s.sensitive;

-- For a role that reports on sagas and may see no value of theirs: neither what a caller has sent nor what a
-- participant has answered is in it. It calls no function, so SELECT on it is all that the role needs.
create view backstitch.saga_report as
  select id, definition, version, status, failure_code, pivot_passed, parent, deadline, wake_at, started_at, ended_at
    from backstitch.saga;
