-- Why: who owns which shard, in one round trip a renewal. Everything is judged by this database's now().
-- Whoever takes a shard from a node locks that node's row FOR UPDATE first; see append_batch for the
-- other half of the fence. Rows of other nodes are locked with SKIP LOCKED, so takers never wait for
-- each other and cannot deadlock.
create function backstitch.renew_leases(
  p_node text, p_lease_ms bigint, p_shards_max integer, p_first boolean)
returns table (database_now bigint, shards text, epochs text)
language plpgsql as $$
#variable_conflict use_column
declare
  held integer;
  taken integer;
  loser text;
begin
  insert into backstitch.node as n (name, expires_at, renewed_at, started_at)
    values (p_node, now() + p_lease_ms * interval '1 millisecond', now(), now())
    on conflict (name) do update
      set expires_at = excluded.expires_at, renewed_at = excluded.renewed_at,
          started_at = case when p_first then excluded.started_at else n.started_at end;

  -- An earlier process of this name may still be appending: wait for it, then shut it out.
  if p_first then
    perform 1 from backstitch.node n where n.name = p_node for update;
    update backstitch.shard s set epoch = s.epoch + 1 where s.node = p_node;
  end if;

  select count(*) into held from backstitch.shard s where s.node = p_node;

  if held < p_shards_max then
    update backstitch.shard s set node = p_node, epoch = s.epoch + 1
     where s.shard in (select f.shard from backstitch.shard f where f.node is null
                        order by f.shard limit p_shards_max - held for update skip locked);
    get diagnostics taken = row_count;
    held := held + taken;
  end if;

  if held < p_shards_max then
    for loser in select n.name from backstitch.node n
                  where n.expires_at <= now() and n.name <> p_node
                  order by n.expires_at, n.name for update skip locked loop
      update backstitch.shard s set node = p_node, epoch = s.epoch + 1
       where s.shard in (select f.shard from backstitch.shard f where f.node = loser
                          order by f.shard limit p_shards_max - held);
      get diagnostics taken = row_count;
      held := held + taken;
      delete from backstitch.node n
       where n.name = loser and not exists (select 1 from backstitch.shard s where s.node = loser);
      exit when held >= p_shards_max;
    end loop;
  end if;

  return query
    select floor(extract(epoch from clock_timestamp()) * 1000)::bigint,
           string_agg(s.shard::text, ',' order by s.shard), string_agg(s.epoch::text, ',' order by s.shard)
      from backstitch.shard s where s.node = p_node;
end $$;

create function backstitch.release_leases(p_node text) returns void language plpgsql as $$
begin
  perform 1 from backstitch.node n where n.name = p_node for update;
  update backstitch.shard set node = null where node = p_node;
  delete from backstitch.node where name = p_node;
end $$;
