-- Why: what operators may query. The tables can change from one version to the next; these views keep
-- their columns.

create view backstitch.sagas as
  select id, definition, version, status, business_key, labels, input, output, failure, failure_code,
         pivot_passed, parent, deadline, wake_at, started_at, ended_at
    from backstitch.saga;

-- One row a step that has been reached, put together from the log. A step's status is what the last
-- event that settles or moves it says.
create view backstitch.steps as
  select l.saga_id,
         l.path,
         case (array_agg(l.type order by l.sequence desc) filter (where l.type in
                 ('StepScheduled', 'StepSkipped', 'StepSucceeded', 'StepFailed', 'StepUnknown',
                  'StepCompensationScheduled', 'StepCompensated', 'StepCompensationFailed',
                  'StepCompensationSkipped')))[1]
           when 'StepScheduled' then 'running'
           when 'StepSkipped' then 'skipped'
           when 'StepSucceeded' then 'succeeded'
           when 'StepFailed' then 'failed'
           when 'StepUnknown' then 'unknown'
           when 'StepCompensationScheduled' then 'compensating'
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
