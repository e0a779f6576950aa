// biome-ignore-all lint/suspicious/noTemplateCurlyInString: patches of sources that have them

import { callByConsume } from '../../core/quota/renewal-call.ts'
import { expr } from '../../core/table/expression.ts'
import { lotBugs } from './lot-bugs.ts'
import type { Bug } from './patch.ts'

/** `foundBy` is the title of a scenario in `quota-scenarios.ts`. */
const MOVE_DAY = [
  'const expiry = await expiryOn(deps, accountId, counter, today)',
  'try {',
  'const moved = await deps.table.update(',
  'keys.quota(accountId), setRemove([expr`#d = ${today}`, ...expiry.sets], expiry.removes),',
  "join([expr`#d = ${counter.day} AND #u = ${counter.used}`, ...expiry.conditions], ' AND '))",
]

export const quotaBugs: readonly (Bug & { title: string; foundBy: string })[] = [
  ...lotBugs,
  // --- One write ---
  {
    title: 'the write does not check the ring',
    find: [
      'const known = ids.map((id) => expr`contains(#a, ${id})`)',
      'if (known.length > 0) conditions.push(',
    ],
    put: [
      'const known = ids.map((id) => expr`contains(#a, ${id})`)',
      'if (known.length < 0) conditions.push(',
    ],
    foundBy: 'a future id is spent once, however many requests and evictions follow',
  },
  {
    title: 'the ring is checked before the write only',
    find: [
      'const known = ids.map((id) => expr`contains(#a, ${id})`)',
      'if (known.length > 0) conditions.push(',
    ],
    put: [
      'const known = ids.map((id) => expr`contains(#a, ${id})`)',
      'if (known.length < 0) conditions.push(',
    ],
    more: [
      {
        find: 'const reads = units === 0 || (id && (refused || isArchivable(archive, id)))',
        put: 'const reads = id',
      },
    ],
    foundBy:
      'an untimed id is spent once by a concurrent batch and request, whichever comes first at each step',
  },
  {
    title: 'the write does not check the key',
    find: ['...whileLive(caller),', 'expr`attribute_not_exists(#x)`,', 'expr`#d >= ${today}`'],
    put: ['expr`attribute_not_exists(#x)`,', 'expr`#d >= ${today}`'],
    foundBy: 'the key is deleted or rotated between read and write: 401',
  },
  {
    title: 'settings that are read again are not checked',
    find: ['requireAllowed(settings, sent, nowMs)', 'const { budget, rate, expiresAtMs } = settings'],
    put: 'const { budget, rate, expiresAtMs } = settings',
    foundBy: 'the settings of a key change between read and write: they decide',
  },
  {
    title: 'a container refuses a key out of its memory',
    find: [
      'return checkedCaller(deps, { ...owner, sent }, remembered)',
      '} catch {',
      'return rereadCaller(deps, { ...owner, sent })',
    ],
    put: [
      'return checkedCaller(deps, { ...owner, sent }, remembered)',
      '} catch {',
      'return checkedCaller(deps, { ...owner, sent }, remembered)',
    ],
    foundBy: 'a key that is switched on again works at once where it was refused',
  },
  {
    title: 'the write does not check whether the account is blocked',
    find: ['expr`attribute_not_exists(#x)`,', 'expr`#d >= ${today}`'],
    put: 'expr`#d >= ${today}`',
    foundBy: 'the account is deactivated or suspended between read and write: 403',
  },
  {
    title: 'a consume can take units below the floor and below zero',
    find: 'conditions: [expr`#l >= ${units}`]',
    put: 'conditions: []',
    foundBy: 'the units are spent between read and write: 402, and never below zero',
  },
  {
    title: 'a crossing relies on a stale balance',
    find: 'expr`#l >= ${units - seen.floor + floor} AND #l < ${units}`',
    put: 'expr`#l < ${units}`',
    foundBy: 'the units for a crossing are spent between read and write: 402, and never below zero',
  },
  {
    title: 'a 402 records its id as spent',
    find: ['if (units > balanceOf(counter)) {', 'await noteRefusal(deps, caller.accountId, counter, units)'],
    put: [
      'if (units > balanceOf(counter)) {',
      'if (id) await deps.table.update(counter.item, expr`ADD #a ${new Set(id.entries)}`)',
    ],
    using: { expr },
    namesFrom: [
      'if (id && hasId(counter, id)) return',
      'const entries = id?.entries ?? []',
      'await deps.table.update(keys.quota(accountId), set, condition, { once })',
      "unchangedSince(seen.item, ['b', 'w', 'i'])",
    ],
    foundBy: 'a 402 is not recorded: the same id is spent after a top-up',
  },
  {
    title: 'a cached 402 is the answer to a spent id',
    find: 'if (refused && !id) throw refused',
    put: 'if (refused) throw refused',
    foundBy: 'a cached 402 is no answer to a spent id, and lasts at most a second',
  },
  {
    title: 'a 402 is cached for ten seconds',
    find: ['const REFUSED_MS = 1000', 'const REFUSALS = 1000'],
    put: ['const REFUSED_MS = 10_000', 'const REFUSALS = 1000'],
    foundBy: 'a cached 402 is no answer to a spent id, and lasts at most a second',
  },
  {
    title: 'a cached 402 refuses fewer units than are left',
    find: 'return holds && units > refusal.above ? exhausted(',
    put: 'return holds ? exhausted(',
    foundBy: 'a cached 402 does not refuse fewer units, and lasts no longer if the clock is set back',
  },
  {
    title: 'a 402 stays cached while the clock is set back',
    find: 'refusal && nowMs < refusal.untilMs && nowMs >= refusal.untilMs - REFUSED_MS',
    put: 'refusal && nowMs < refusal.untilMs',
    foundBy: 'a cached 402 does not refuse fewer units, and lasts no longer if the clock is set back',
  },
  // --- Fences ---
  {
    title: 'a fresh id is spent without the fence m',
    find: 'expr`#m < ${oldest} AND (attribute_not_exists(#e) OR #e > ${newest})`',
    put: 'expr`(attribute_not_exists(#e) OR #e > ${newest})`',
    foundBy: 'a time-ordered id is spent once, though an eviction archives it while its retry is in flight',
  },
  {
    title: 'a late id is spent without the fence g',
    find: 'fence: [expr`#g = ${counter.fence}`]',
    put: 'fence: []',
    foundBy:
      'a late id is spent once, though an eviction archives it between the archive lookup and the write',
  },
  {
    title: 'the archive is not read',
    find: 'if (spent.size > 0) return { known: counter, allowance, replayed: true }',
    put: 'if (spent.size > 1) return { known: counter, allowance, replayed: true }',
    foundBy: 'an untimed id is spent once, however many requests and evictions follow',
  },
  {
    title: 'a batch is spent without the fence m',
    find: 'if (oldest && newest) fence.push(freshFence(oldest.time, newest.time))',
    put: '',
    foundBy: 'a batch of fresh ids that another batch spends between read and write spends nothing',
  },
  {
    title: 'a batch is spent without the fence g',
    find: 'if (hasLate) fence.push(expr`#g = ${seen.fence}`)',
    put: '',
    foundBy: 'a batch of late ids that another batch spends between read and write spends nothing',
  },
  {
    title: 'a batch of late ids does not move the fence g',
    find: 'if (hasLate) sets.push(expr`#g = #g + ${1}`)',
    put: '',
    foundBy: 'a batch of late ids that another batch spends between read and write spends nothing',
  },
  {
    title: 'a batch does not make its ids late',
    find: 'if (newest) sets.push(expr`#m = ${newest.time}`)',
    put: '',
    foundBy:
      'a time-ordered id is spent once by a concurrent batch and request, whichever comes first at each step',
  },
  {
    title: 'a batch of ids dated in the future makes all other ids late',
    find: 'if (id.time === 0 || id.time > nowTime + AHEAD_MS) return false',
    put: 'if (id.time === 0 || nowTime < 0) return false',
    foundBy: 'a batch of ids dated in the future does not make other ids late',
  },
  // --- Turn and archive ---
  {
    title: 'an eviction drops ids before it archives them',
    find: [
      'const groups = groupBySpan(timed)',
      'await Promise.all([',
      'deps.table.putAll(alone.map(({ bytes }) => spentIdItem(deps, accountId, bytes))),',
    ],
    put: [
      'const groups = groupBySpan(timed)',
      'const $gone = { leaving: [...timed, ...alone, ...batches], isFresh: false, newest: timed.at(-1)?.time ?? 0, spans: 511 }',
      'await dropFromRing(deps, accountId, counter, $gone)',
      'await Promise.all([',
      'deps.table.putAll(alone.map(({ bytes }) => spentIdItem(deps, accountId, bytes))),',
    ],
    namesFrom: [
      [
        'return await dropFromRing(deps, accountId, counter, {',
        'leaving: [...timed, ...alone, ...batches],',
        'isFresh: behind.length + alone.length === 0 && counter.firstAhead === Infinity,',
        'newest: timed.at(-1)?.time ?? 0,',
        'spans: groups.reduce((bits, { span }) => bits | spanBit(span), 0) })',
      ],
    ],
    foundBy:
      'an eviction that breaks off at any call loses no id, whether of a batch, untimed or time-ordered',
  },
  {
    title: 'an eviction does not move the fence g',
    find: 'const sets = evicted.isFresh ? [] : [expr`#g = #g + ${1}`]',
    put: 'const sets = evicted.isFresh ? [] : [expr`#g = #g + ${0}`]',
    foundBy:
      'an untimed id is spent once, though an eviction archives it between the archive lookup and the write',
  },
  {
    title: 'an eviction of ids that are a little late does not move the fence g',
    find: 'isFresh: behind.length + alone.length === 0 && counter.firstAhead === Infinity',
    put: 'isFresh: alone.length === 0 && counter.firstAhead === Infinity',
    foundBy:
      'a little late id is spent once, though an eviction archives it between the archive lookup and the write',
  },
  {
    title: 'an eviction does not move the fence g for ids that another one ahead makes late',
    find: 'isFresh: behind.length + alone.length === 0 && counter.firstAhead === Infinity',
    put: 'isFresh: behind.length + alone.length === 0',
    foundBy:
      'an id that another one ahead of the clock makes late is spent once, though an eviction archives it between the archive lookup and the write',
  },
  {
    title: 'an eviction lowers the fence m',
    find: ['sets.push(expr`#m = ${evicted.newest}`)', 'conditions.push(expr`#m < ${evicted.newest}`)'],
    put: 'sets.push(expr`#m = ${evicted.newest}`)',
    foundBy:
      'ids of a batch that commits during an eviction stay late: the eviction does not lower the newest time',
  },
  {
    title: 'an eviction does not record the spans of the ids that it archives',
    find: 'const spans = archiveSpans | evicted.spans\nif (spans !== archiveSpans)',
    put: 'const spans = archiveSpans | evicted.spans\nif (archiveSpans > 4096)',
    foundBy: 'many ids share an archive item even on a quiet account whose ids are far apart',
  },
  {
    title: 'an eviction does not archive untimed ids',
    find: [
      'const groups = groupBySpan(inOrder)',
      'await Promise.all([',
      'deps.table.putAll(alone.map(({ bytes }) => spentIdItem(deps, accountId, bytes))),',
    ],
    put: [
      'const groups = groupBySpan(inOrder)',
      'await Promise.all([',
      'deps.table.putAll(inOrder.map(({ bytes }) => spentIdItem(deps, accountId, bytes))),',
    ],
    foundBy: 'an untimed id is spent once, however many requests and evictions follow',
  },
  {
    title: 'an eviction takes ids dated in the future for ids that came in order',
    find: 'entry.time > newestArchived && entry.time <= nowTime + AHEAD_MS',
    put: 'entry.time > newestArchived && nowTime > 0',
    foundBy: 'an id dated in the future does not make other ids late',
  },
  {
    title: 'an eviction does not record the first id ahead',
    find: [
      'return { first: Math.min(known, ...evictedAhead),',
      'isFenced: evictedAhead.length > 0 || known !== firstAhead }',
    ],
    put: ['return { first: known,', 'isFenced: evictedAhead.length > 0 || known !== firstAhead }'],
    foundBy: 'ids ahead of the clock are spent once, also when time has come to them and passed them',
  },
  {
    title: 'a fresh id is spent without the fence e',
    find: 'expr`#m < ${oldest} AND (attribute_not_exists(#e) OR #e > ${newest})`',
    put: 'expr`#m < ${oldest} AND (attribute_not_exists(#e) OR #e > ${0})`',
    foundBy: 'ids ahead of the clock are spent once, also when time has come to them and passed them',
  },
  {
    title: 'an eviction that passes the first id ahead forgets those that follow',
    find: 'firstAhead > last ? firstAhead : await findAhead(deps, accountId, last)',
    put: 'firstAhead > last ? firstAhead : Infinity',
    foundBy: 'ids ahead of the clock are spent once, also when time has come to them and passed them',
  },
  {
    title: 'an eviction records the first id ahead though another eviction came between',
    find: 'if (ahead.isFenced) conditions.push(expr`#g = ${counter.fence}`)',
    put: '',
    foundBy: 'two concurrent evictions both keep their record of ids ahead of the clock',
  },
  {
    title: 'a write may make the ring larger than it may be',
    find: 'expr`(attribute_not_exists(#a) OR size(#a) <= ${most - entries.length})`',
    put: 'expr`(attribute_not_exists(#a) OR size(#a) <= ${1000 - entries.length})`',
    more: [
      {
        find: '({ ring, item }: Counter) => ring.size + count <= ringMost(item)',
        put: '({ ring, item }: Counter) => ring.size < ringMost(item) * count * 9',
      },
    ],
    foundBy:
      'while no eviction succeeds the ring stays small and ids are refused, and afterwards nothing is lost',
  },
  {
    title: 'the position in a batch has the identity of an id',
    find: [
      'const time = timeIn(lower)',
      'const parts = [accountId, time === 0 ? text : lower, ...position.map(String)]',
    ],
    put: [
      'const time = timeIn(lower)',
      'const parts = [accountId, `${[time === 0 ? text : lower, ...position]}`]',
    ],
    foundBy: 'an id is not the position in a batch, nor another batch, that it looks like',
  },
  {
    title: 'the archive item of a batch does not count once its entry has left the ring',
    find: '...batches.map((entry) => validate(deps, accountId, entry))',
    put: '...[]',
    foundBy:
      'ids of a batch that commits during an eviction stay late: the eviction does not lower the newest time',
  },
  {
    title: 'the archive item of a batch that was not committed counts',
    find: 'if (valid || counts(counter, sk))',
    put: 'if (valid || sk)',
    foundBy:
      'a batch that broke off after it wrote its archive item spends nothing, and its ids do not count as spent',
  },
  {
    title: 'the archive item of a committed batch does not count while its entry is in the ring',
    find: 'if (valid || counts(counter, sk))',
    put: 'if (valid)',
    foundBy: 'a batch of late ids that another batch spends between read and write spends nothing',
  },
  {
    title: 'an id is looked up under its own time only',
    find: '{ from: id.time, to: id.time + spanMs, ids: [id] }',
    put: '{ from: id.time, to: id.time, ids: [id] }',
    foundBy: 'a time-ordered id is spent once, however many requests and evictions follow',
  },
  {
    title: 'an eviction overwrites the spans that another eviction recorded',
    find: ['sets.push(expr`#o = ${spans}`)', 'conditions.push(expr`#o = ${archiveSpans}`)'],
    put: 'sets.push(expr`#o = ${spans}`)',
    foundBy: 'an eviction and a concurrent batch both keep their record of what the archive holds',
  },
  {
    title: 'an eviction creates an item that TTL has deleted again, without its ids',
    find: 'expr`SET #valid = ${true}`, expr`attribute_exists(pk)`',
    put: 'expr`SET #valid = ${true}`',
    foundBy: 'the archive item of a batch is not created again after TTL has deleted the item',
  },
  {
    title: 'the lookup of a batch ends where its first id could be',
    find: ['last.to = id.time + spanMs', 'last.ids.push(id)'],
    put: 'last.ids.push(id)',
    foundBy: 'a batch of spent ids spends nothing, however the ids are spread over the archive',
  },
  {
    title: 'the lookup of a batch assumes that its ids are in order',
    find: '.filter(({ time }) => time > 0).sort((a, b) => a.time - b.time)',
    put: '.filter(({ time }) => time > 0)',
    foundBy: 'a batch of spent ids spends nothing, however the ids are spread over the archive',
  },
  {
    title: 'only one page of the archive is read',
    find: 'items.length === PAGE ? items.at(-1)?.sk : undefined',
    put: 'undefined',
    foundBy: 'an id is found in the archive behind more than a page of items of its time',
  },
  {
    title: 'a retry of a batch commits the archive item of its previous attempt',
    find: 'if (before?.ids.length === ids.length && before.ids.every((id, at) => id === ids[at])) return before',
    put: 'if (before && ids.length > 0) return before',
    foundBy:
      'if other requests leave units for only a part of a batch, its refused ids do not count as spent',
  },
  {
    title: 'a batch spends units for each occurrence of an id',
    find: 'byEntry.get(entry) ?? { units, tag, id }',
    put: '{ units, id }',
    foundBy: 'a batch with the same id twice spends its units once',
  },
  // --- Thresholds ---
  {
    title: 'a threshold that another request crossed is crossed again',
    find: 'expr`#f = ${seen.floor} AND #s = ${seen.seq} AND #q = ${seen.size}`',
    put: 'expr`#s = ${seen.seq} AND #q = ${seen.size}`',
    foundBy: 'a threshold that another request crosses between read and write is not crossed again',
  },
  {
    title: 'a threshold is crossed despite a credit between read and write',
    find: 'expr`#f = ${seen.floor} AND #s = ${seen.seq} AND #q = ${seen.size}`',
    put: 'expr`#f = ${seen.floor} AND #q = ${seen.size}`',
    // Units that return are noticed too, and so is a credit.
    more: [
      {
        find: 'spared > 0 ? [expr`#l < ${units - spared}`] : []',
        put: 'spared < 0 ? [expr`#l < ${units - spared}`] : []',
      },
    ],
    foundBy: 'a threshold that is no longer crossed after a credit between read and write does not fire',
  },
  {
    title: 'a threshold of the previous bundle is crossed',
    find: 'expr`#f = ${seen.floor} AND #s = ${seen.seq} AND #q = ${seen.size}`',
    put: 'expr`#f = ${seen.floor}`',
    foundBy:
      'after a credit of another bundle between read and write an equal floor does not count as the same',
  },
  {
    title: 'a notice is stored but not due, so that no job sees it',
    find: [
      'if (!notice && !renewal && !alerts && !exhausted) return []',
      "const { due, dueAtMs } = dueAt('QUOTA', accountId, nowMs)",
      'return [...(notice ? [expr`#n = ${nowMs}`] : []),',
    ],
    put: [
      'if (!notice && !renewal && !alerts && !exhausted) return []',
      'if (!renewal) return [expr`#n = ${nowMs}`]',
      "const { due, dueAtMs } = dueAt('QUOTA', accountId, nowMs)",
      'return [...(notice ? [expr`#n = ${nowMs}`] : []),',
    ],
    foundBy: 'below 10 % a notice is due, below 1 % a renewal too, and exactly at a threshold neither',
  },
  {
    title: 'a later crossing postpones what is due already',
    near: callByConsume,
    find: 'expr`#dueAtMs = if_not_exists(#dueAtMs, ${dueAtMs})`',
    put: 'expr`#dueAtMs = ${dueAtMs}`',
    foundBy: 'below 10 % a notice is due, below 1 % a renewal too, and exactly at a threshold neither',
  },
  {
    title: 'a threshold counts as crossed when the balance equals it',
    find: '.filter((threshold) => balance >= threshold)',
    put: '.filter((threshold) => balance > threshold)',
    foundBy: 'a consume that ends exactly at the next threshold does not cross that threshold',
  },
  {
    title: 'a consume over two thresholds fires only one of them',
    find: [
      'const crossed = (threshold: number) => from >= threshold && to < threshold',
      'const moved = { arms: false, nowMs }',
      'const alerts = moveAlerts(levels.alerts, { floor: from, size }, { floor: to, size }, moved)',
      'return { notice: crossed(noticeAt(levels)), renewal: crossed(renewalAt(levels)), alerts }',
    ],
    put: [
      'const crossed = (threshold: number) => from >= threshold && to < threshold',
      'const $notice = crossed(noticeAt(levels))',
      'return { notice: $notice, renewal: !$notice && crossed(renewalAt(levels)) }',
    ],
    foundBy: 'concurrent consumes of 100 units fire each threshold exactly once per crossing',
  },
  {
    title: 'a crossing relies on a threshold that its owner has moved since',
    find: "unchangedSince(seen.item, ['b', 'w', 'i']),",
    put: '',
    foundBy: 'a threshold that its owner moves between read and write is the one that counts',
  },
  {
    title: 'a renewal is due by 1 % whatever its owner chose',
    find: ['const below = effectiveBelow(levels)', 'if (below < 1) return unitsOf(below, levels.size)'],
    put: [
      'const below = effectiveBelow({ size: levels.size })',
      'if (below < 1) return unitsOf(below, levels.size)',
    ],
    foundBy: 'a renewal is due below what its owner chose, also above 10 % of the bundle',
  },
  {
    title: 'a number of units counts beyond half of the bundle',
    find: 'renewalSize === 0 ? below : Math.min(below, Math.floor(renewalSize / 2))',
    put: 'renewalSize === 0 ? below : Math.min(below, Math.floor(renewalSize * 2))',
    foundBy: 'a smaller bundle lowers a number of units to its half, and a share follows the bundle',
  },
  {
    title: 'a credit moves the floor by the threshold that its owner had chosen before',
    find: [
      'expr`#s = ${quota.seq} AND #f = ${quota.floor} AND #l >= ${Math.max(0, -delta)}`,',
      "unchangedSince({ b: quota.below, w: quota.renewalSize, i: quota.alerts }, ['b', 'w', 'i'])",
    ],
    put: 'expr`#s = ${quota.seq} AND #f = ${quota.floor} AND #l >= ${Math.max(0, -delta)}`',
    foundBy: 'a threshold that its owner moves between read and write is the one that counts',
  },
  // --- Refusals ---
  {
    title: 'a refusal does not call for a renewal',
    find: 'const calls = units <= servable(counter)',
    put: 'const calls = units < 0 && units <= servable(counter)',
    foundBy: 'the first refusal for want of units calls for a renewal, once in a cycle of the ledger',
  },
  {
    title: 'every refusal calls for a renewal',
    find: 'const isNew = size > 0 && item[name] !== seq && !hasCalled',
    put: 'const isNew = size > 0 && !hasCalled',
    foundBy: 'the first refusal for want of units calls for a renewal, once in a cycle of the ledger',
  },
  {
    title: 'concurrent refusals each call for a renewal',
    find: "join([expr`#s = ${seq}`, unchangedSince(item, ['k', 'j', 'kx'])], ' AND ')",
    put: 'expr`#s = ${seq}`',
    foundBy: 'concurrent refusals of requests and batches call for a renewal once',
  },
  {
    title: 'a refusal calls for a renewal in the next cycle',
    find: "join([expr`#s = ${seq}`, unchangedSince(item, ['k', 'j', 'kx'])], ' AND ')",
    put: "unchangedSince(item, ['k', 'j', 'kx'])",
    foundBy: 'a refusal that a credit overtakes does not call',
  },
  {
    title: 'a request for more units than a bundle holds calls for a renewal in each cycle',
    find: 'const calls = units <= servable(counter)',
    put: 'const calls = units <= units + servable(counter)',
    foundBy: 'a request for more units than a bundle holds never calls, and its caller is told',
  },
  {
    title: 'the remembered refusal of a request that is too large hides one that calls',
    find: 'const above = Math.max(refused.left, units > refused.servable ? refused.servable : 0)',
    put: 'const above = refused.left',
    foundBy: 'a request for more units than a bundle holds never calls, and its caller is told',
  },
  {
    title: 'a batch does not call for a renewal',
    find: 'if (least) await noteRefusal(deps, accountId, counter, least.units)',
    put: '',
    foundBy: 'concurrent refusals of requests and batches call for a renewal once',
  },
  {
    title: 'a crossing is stored but the renewal is not started',
    find: ['if (callsRenewal) await startRenewal(deps, accountId)', 'return parseCounter(after)'],
    put: 'return parseCounter(after)',
    foundBy: 'the write that crosses the threshold starts the renewal, and no other write does',
  },
  // --- Requests that come together ---
  {
    title: 'requests that come together are spent by the key of the first',
    find: 'JSON.stringify([caller, requestId === undefined])',
    put: 'JSON.stringify([requestId === undefined])',
    foundBy: 'requests that come together are spent for their own keys, and not for a key that is dead',
  },
  {
    title: 'a request that comes together with others is told 200 though the batch refused it',
    find: "else if (answer.outcome !== 'spent') refused.push(each)",
    put: '',
    foundBy: 'requests that come together get what is left and no more, and are told so',
  },
  // --- Ledger ---
  {
    title: 'the ledger is applied twice',
    find: 'expr`#s = ${quota.seq} AND #f = ${quota.floor} AND #l >= ${Math.max(0, -delta)}`',
    put: 'expr`#f = ${quota.floor} AND #l >= ${Math.max(0, -delta)}`',
    foundBy: 'the ledger is applied once, though another process applies it between read and write',
  },
  {
    title: 'the ledger is applied on a stale floor',
    find: 'expr`#s = ${quota.seq} AND #f = ${quota.floor} AND #l >= ${Math.max(0, -delta)}`',
    put: 'expr`#s = ${quota.seq} AND #l >= ${Math.max(0, -delta)}`',
    foundBy: 'units spent while the ledger is applied stay spent, whether or not they cross a threshold',
  },
  // --- Reservations ---
  {
    title: 'a settle does not check that its reservation is open',
    find: 'conditions: [expr`contains(#v, ${entry})`]',
    put: 'conditions: []',
    foundBy: 'a reservation ends once, whichever two ends come at once and wherever one overtakes the other',
  },
  {
    title: 'an expiry does not check that its reservation is open',
    find: "const condition = join([...change.conditions, ...end.conditions, ...hashes, ...limits], ' AND ')",
    put: "const condition = join([...change.conditions, ...hashes, ...limits], ' AND ')",
    foundBy: 'a reservation ends once, whichever two ends come at once and wherever one overtakes the other',
  },
  {
    title: 'the item of a reservation ends twice',
    find: '{ counter: expr`attribute_not_exists(#due)`, item: expr`attribute_exists(#due)`, expired: expr`attribute_exists(#expired)` }[place]',
    put: '{ counter: expr`attribute_not_exists(#due)`, item: expr`attribute_exists(pk)`, expired: expr`attribute_exists(#expired)` }[place]',
    foundBy: 'a reservation ends once, whichever two ends come at once and wherever one overtakes the other',
  },
  {
    title: 'a settle leaves no trace by which its repeat is known',
    find: 'expr`#u ${counted}, #y ${after - before}, #a ${new Set(id.entries)}`',
    put: 'expr`#u ${counted}, #y ${after - before}`',
    foundBy: 'a settle that breaks off at any call takes effect once',
  },
  {
    title: 'a settle with other units is taken for a repeat',
    find: '[requestId, `settle ${reservationId} ${units}`]',
    put: '[requestId, `settle ${reservationId}`]',
    foundBy: 'a settle is repeated by the same units only',
  },
  {
    title: 'a reservation does not look whether its alarm is still on',
    find: "unchangedSince(seen.item, ['z'])",
    put: "unchangedSince(seen.item, ['s'])",
    foundBy: 'a reservation always has an alarm, wherever the job comes while it is made',
  },
  {
    title: 'the job takes an alarm away before the counter says so',
    find: 'expr`SET #z = ${-token}`',
    put: 'expr`SET #g = #g`',
    foundBy: 'a reservation always has an alarm, wherever the job comes while it is made',
  },
  {
    title: 'the job switches the alarm off though a reservation is open',
    find: 'expr`attribute_not_exists(#v)`',
    put: 'expr`attribute_exists(pk)`',
    foundBy: 'a job that is overtaken by reservations leaves them an alarm',
  },
  {
    title: 'the job removes an alarm that was set meanwhile',
    find: 'await deps.table.remove(alarm, expr`#token = ${token}`)',
    put: 'await deps.table.remove(alarm, expr`attribute_exists(pk)`)',
    foundBy: 'a job that is overtaken by reservations leaves them an alarm',
  },
  {
    title: 'a reservation that has not expired is returned',
    find: 'openIn(counter).filter(({ expiresAtMs }) => expiresAtMs <= deps.clock.nowMs())',
    put: 'openIn(counter)',
    foundBy: 'only what has expired returns',
  },
  {
    title: 'a reservation counts as used when it is made',
    find: ['adds: [expr`#y ${units}`]', '}', 'if (!isRoomy)'],
    put: ['adds: [expr`#y ${units}, #u ${units}`]', '}', 'if (!isRoomy)'],
    foundBy: 'a reserve that breaks off at any call holds its units once, and loses none',
  },
  {
    title: 'a settle does not change the day',
    find: 'counter.day < today ? await changeDay(deps, accountId, counter, today) : await makeRoom(deps, accountId, counter, id.entries.length)',
    put: 'await makeRoom(deps, accountId, counter, id.entries.length)',
    foundBy: 'a settle counts on its own day, and the snapshot of the day before is right',
  },
  {
    title: 'a blocked account settles',
    find: [
      'caller = await admitKey(deps, counter, caller, inDoubt)',
      'const found = await findReservation(deps, accountId, counter, nonce)',
    ],
    put: 'const found = await findReservation(deps, accountId, counter, nonce)',
    more: [
      {
        find: [
          'expr`attribute_not_exists(#x)`,',
          'expr`(attribute_not_exists(#a) OR size(#a) <= ${ringMost(seen.item) - id.entries.length})`',
        ],
        put: 'expr`(attribute_not_exists(#a) OR size(#a) <= ${ringMost(seen.item) - id.entries.length})`',
      },
    ],
    foundBy: 'a blocked account settles nothing, and its reservations return',
  },
  {
    title: 'use is counted for a key that was revoked meanwhile',
    find: 'return [countsUse(counter, slot) ? expr`attribute_exists(${hash})` : expr`attribute_not_exists(${hash})`]',
    put: 'return [expr`attribute_exists(pk)`]',
    foundBy: 'use goes to the key that reserved, unless that is revoked, wherever the revocation comes',
  },
  {
    title: 'a return lifts the balance above a threshold, and the floor stays',
    find: 'staysUnder(thresholdAbove(floor, seen) - floor - delta)',
    put: 'staysUnder(thresholdAbove(floor, seen) - floor + delta)',
    foundBy: 'two returns that lift the balance together leave the right floor',
  },
  {
    title: 'a crossing does not see units that have returned meanwhile',
    find: 'spared > 0 ? [expr`#l < ${units - spared}`] : []',
    put: 'spared < 0 ? [expr`#l < ${units - spared}`] : []',
    foundBy: 'a spend that crosses a threshold leaves the right floor, wherever units return',
  },
  {
    title: 'a credit does not see units that have returned meanwhile',
    find: 'staysUnder(thresholdAbove(floor, { ...quota, ...to }) - floor - delta)',
    put: 'staysUnder(thresholdAbove(floor, { ...quota, ...to }) - floor + delta)',
    foundBy: 'a credit leaves the right floor, wherever units return',
  },
  // --- Leases ---
  {
    title: 'a renewal does not see that other reservations have changed',
    find: "unchangedSince(seen.item, ['v'])",
    put: "unchangedSince(seen.item, ['q'])",
    foundBy: 'a renewal keeps the other leases of the account, wherever one of them is made or ends',
  },
  {
    title: 'a renewal forgets the other reservations',
    find: 'new Set([...others, next].map(reservationEntry))',
    put: 'new Set([next].map(reservationEntry))',
    foundBy: 'a renewal keeps the other leases of the account, wherever one of them is made or ends',
  },
  {
    title: 'a renewal takes more than is left',
    find: 'Math.min(balanceOf(counter) + kept, allowance.ceiling - allowance.taken + kept,',
    put: 'Math.min(balanceOf(counter) + (kept < 0 ? 0 : kept), allowance.ceiling - allowance.taken + kept,',
    foundBy: 'a renewal that a spend overtakes never takes more than is left',
  },
  {
    title: 'a renewed lease that gets room in the counter has no alarm',
    find: 'Number(item.z ?? 0) > 0',
    put: 'Number(item.z ?? 0) > -1e15',
    foundBy: 'a renewed lease always has an alarm, wherever the job comes while it is renewed',
  },
  {
    title: 'a report with other units is taken for a repeat',
    find: 'requestId === undefined ? [leaseId, `${kind} ${units}`] : [requestId, `${kind} ${leaseId} ${units}`]',
    put: 'requestId === undefined ? [leaseId, `${kind}`] : [requestId, `${kind} ${leaseId}`]',
    foundBy: 'a renewal that breaks off at any call takes effect once',
  },
  {
    title: 'units that count as used when a lease expires return too',
    find: 'balanceChange(deps, accountId, units - used, seen)',
    put: 'balanceChange(deps, accountId, units, seen)',
    foundBy: 'an expiry of leases that breaks off at any call takes effect once, and a late report once',
  },
  {
    title: 'a late report is counted besides the units that were charged',
    find: 'const counted = Math.max(0, covered - charged)',
    put: 'const counted = Math.max(0, covered)',
    foundBy: 'a late report that breaks off at any call takes effect once',
  },
  {
    title: 'the use of an expired lease is reported as often as one likes',
    find: 'expr`SET #covered = ${covered}, #ttl = ${ttl} REMOVE #due, #dueAtMs, #expired`',
    put: 'expr`SET #covered = ${covered}, #ttl = ${ttl} REMOVE #due, #dueAtMs`',
    foundBy: 'an expiry of leases that breaks off at any call takes effect once, and a late report once',
  },
  {
    title: 'two late reports at once both count',
    find: 'expired: expr`attribute_exists(#expired)`',
    put: 'expired: expr`attribute_exists(pk)`',
    foundBy: 'a late report counts once, wherever another one comes',
  },
  {
    title: 'a lease that the job overtakes expires besides its report',
    find: 'isMoved ? expr`attribute_exists(#due)` : expr`attribute_not_exists(#due)`',
    put: 'isMoved ? expr`attribute_exists(pk)` : expr`attribute_not_exists(#due)`',
    foundBy: 'a lease ends once, whichever two ends come at once and wherever one overtakes the other',
  },
  {
    title: 'what an expired lease is charged counts for a key that was revoked',
    find: '[...byKey].filter(([slot]) => countsUse(seen.item, slot))',
    put: '[...byKey].filter(([slot]) => slot >= 0)',
    foundBy:
      'what an expired lease is charged counts on the day of the expiry, for its key unless that is revoked',
  },
  {
    title: 'what an expired lease is charged counts on the day before',
    find: 'counter.day >= today || !expired.some(isCharged)',
    put: 'counter.day >= today || !expired.some(isCharged) || true',
    foundBy:
      'what an expired lease is charged counts on the day of the expiry, for its key unless that is revoked',
  },
  // --- Limits of keys with leases ---
  {
    title: 'an expiry takes what it charges out of the budget',
    find: 'const returning = reservations.filter((each) => !isCharged(each))',
    put: 'const returning = reservations.filter((each) => isCharged(each) || true)',
    foundBy: 'a budget is never exceeded by leases, whichever two things come to one at once',
  },
  {
    title: 'a renewal takes more than the budget leaves',
    find: 'allowance.ceiling - allowance.taken + kept, Math.max(0, kept) +',
    put: 'allowance.ceiling, Math.max(0, kept) +',
    foundBy: 'a renewal of which the budget has nothing left settles, and has what there is',
  },
  {
    title: 'a renewal does not count in the rate',
    find: 'growth > 0 ? takeFromBucket(slot, allowance, growth) : NO_PARTS',
    put: 'growth > 1e9 ? takeFromBucket(slot, allowance, growth) : NO_PARTS',
    foundBy: 'a bucket lets its burst through and no more, wherever a lease is made or renewed',
  },
  {
    title: 'the write of a renewal does not check the budget',
    find: '(growth > 0 || opened > 0)',
    put: '(growth > 1e9 || opened > 1e9)',
    foundBy: 'a budget is never exceeded by leases, whichever two things come to one at once',
  },
  {
    title: 'a renewal does not look at the limits of its key',
    find: 'units > before + charged || wanted > 0',
    put: 'units > before + charged',
    foundBy: 'a renewal of which the budget has nothing left settles, and has what there is',
  },
  {
    title: 'a lease takes more than the limits of its key leave',
    find: 'balanceOf(counter), keyLeftOf(allowance) ?? Infinity, rateStanding(allowance)?.left ?? Infinity',
    put: 'balanceOf(counter)',
    foundBy: 'a renewal of which the budget has nothing left settles, and has what there is',
  },
  {
    title: 'a settle relies on the limits of a day that the counter is not on yet',
    find: 'const today = dayOf(deps.clock.nowMs()) const moved = counter.day < today ? await changeDay(',
    put: 'const today = counter.day\n const moved = counter.day < today ? await changeDay(',
    foundBy: 'a report counts in the budget of the day on which its units count, wherever the day ends',
  },
  // --- Alerts ---
  {
    title: 'an alert stays armed when it fires',
    find: 'return { ...alert, armed: false, crossed: true }',
    put: 'return { ...alert, armed: true, crossed: true }',
    foundBy: 'units that return from reservations arm no alert',
  },
  {
    title: 'units that return arm an alert',
    find: 'const moved = { arms: false, nowMs }',
    put: 'const moved = { arms: true, nowMs }',
    foundBy: 'units that return from reservations arm no alert',
  },
  {
    title: 'a credit does not arm an alert',
    find: '{ arms: to.units > 0, nowMs }',
    put: '{ arms: to.units < 0, nowMs }',
    foundBy: 'each alert fires once a crossing, however many spends cross it at once',
  },
  {
    title: 'an alert fires at its threshold',
    find: 'const isReached = to.floor >= unitsOf(alert.below, to.size)',
    put: 'const isReached = to.floor > unitsOf(alert.below, to.size)',
    foundBy: 'an alert fires below its threshold, and not at it',
  },
  {
    title: 'a crossed alert waits as long as the renewal',
    find: 'notice || alerts ? expr`#dueAtMs = ${dueAtMs}`',
    put: 'notice && alerts ? expr`#dueAtMs = ${dueAtMs}`',
    foundBy: 'a crossed alert is due at once, also while a renewal waits',
  },
  {
    title: 'a credit forgets what was crossed before',
    find: [
      'await handOverAlerts(deps, accountId, quota)',
      'const nowMs = deps.clock.nowMs()',
      'const cleared = clearCrossed(quota.alerts)',
    ],
    put: ['const nowMs = deps.clock.nowMs()', 'const cleared = clearCrossed(quota.alerts)'],
    foundBy: 'a credit between two crossings hides none, wherever a spend comes',
  },
  {
    title: 'a credit arms an alert that was crossed meanwhile',
    find: "unchangedSince({ b: quota.below, w: quota.renewalSize, i: quota.alerts }, ['b', 'w', 'i'])",
    put: "unchangedSince({ b: quota.below, w: quota.renewalSize }, ['b', 'w'])",
    foundBy: 'a credit loses no crossing that units which return hide from it',
  },
  {
    title: 'a crossing relies on alerts that its owner has replaced since',
    find: "unchangedSince(seen.item, ['b', 'w', 'i']),",
    put: "unchangedSince(seen.item, ['b', 'w']),",
    foundBy: 'a spend that crosses goes by the alerts that its owner has chosen last',
  },
  {
    title: 'a choice forgets what the earlier alerts have crossed',
    find: ['if (!change) return', 'await handOverAlerts(deps, account.id, quota)'],
    put: 'if (!change) return',
    foundBy: 'alerts are chosen as a whole and tell what the earlier ones crossed, wherever a spend comes',
  },
  {
    title: 'a choice arms every alert that stays',
    find: 'armed: kept ? kept.armed : balance >= unitsOf(below, size)',
    put: 'armed: kept ? true : balance >= unitsOf(below, size)',
    foundBy: 'an alert that stays among others keeps its state',
  },
  {
    title: 'a choice has the name of the earlier one',
    find: 'revision: (stored.revision + 1) % REVISIONS',
    put: 'revision: (stored.revision + 0) % REVISIONS',
    foundBy: 'an alert that is removed and chosen again fires again',
  },
  {
    title: 'a debit fires an alert of which no job learns',
    find: 'isCrossed && !calls ? [expr`#due = ${due}, #dueAtMs = ${dueAtMs}`] : []',
    put: 'isCrossed && calls ? [expr`#due = ${due}, #dueAtMs = ${dueAtMs}`] : []',
    foundBy: 'a debit fires the alerts that it falls below, and arms none',
  },
  {
    title: 'a share is one of the bundle before',
    find: ['{ floor: quota.floor, size: quota.size },', '{ floor, size: to.size }'],
    put: ['{ floor: quota.floor, size: quota.size },', '{ floor, size: quota.size }'],
    foundBy: 'a share follows a change of the bundle',
  },
  // --- Days ---
  {
    title: 'the day changes before its snapshot is stored',
    find: [
      'await deps.table.put(snapshot, expr`attribute_not_exists(pk) OR #u < ${counter.used}`).catch(ignoreRefusal)',
      ...MOVE_DAY,
    ],
    put: [
      ...MOVE_DAY,
      'await deps.table.put(snapshot, expr`attribute_not_exists(pk) OR #u < ${counter.used}`).catch(ignoreRefusal)',
    ],
    foundBy: 'a request that changes the day and breaks off at any call leaves the right snapshot',
  },
  {
    title: 'a snapshot overwrites a later one',
    find: '.put(snapshot, expr`attribute_not_exists(pk) OR #u < ${counter.used}`)',
    put: '.put(snapshot)',
    foundBy: 'a snapshot that comes too late does not replace the right one',
  },
  {
    title: 'the first snapshot stays, though more units were used since',
    find: 'expr`attribute_not_exists(pk) OR #u < ${counter.used}`',
    put: 'expr`attribute_not_exists(pk)`',
    foundBy: 'the first consume of a day stores a snapshot that includes the last consume of a slower clock',
  },
  {
    title: 'the day changes though more units were used since the snapshot',
    find: 'expr`#d = ${counter.day} AND #u = ${counter.used}`',
    put: 'expr`#d = ${counter.day}`',
    foundBy: 'the first consume of a day stores a snapshot that includes the last consume of a slower clock',
  },
  {
    title: 'the write does not check the day',
    find: ['expr`#d >= ${today}`,', '...step.conditions'],
    put: '...step.conditions',
    foundBy: 'a hundred concurrent consumes change the day once, and no unit is lost',
  },
  {
    title: 'a slow clock moves the day back',
    find: 'expr`#d >= ${today}`',
    put: 'expr`#d = ${today}`',
    more: [{ find: 'if (counter.day < today) return {', put: 'if (counter.day !== today) return {' }],
    foundBy: 'a slow clock does not move the day of the counter back',
  },
  // --- Limits of keys ---
  {
    title: 'the write does not check the budget',
    find: 'parts.conditions.push(expr`${taken} <= ${ceiling - units}`)',
    put: 'parts.conditions.push(expr`${taken} <= ${ceiling}`)',
    foundBy: 'a budget is used to its last unit and no further, wherever another request comes',
  },
  {
    title: 'the write does not count in the budget',
    find: 'parts.adds.push(expr`${taken} ${units}`)',
    put: 'parts.adds.push(expr`${taken} ${0}`)',
    foundBy: 'a budget is used to its last unit and no further, wherever another request comes',
  },
  {
    title: 'a full bucket is filled again, though another request has emptied it',
    find: 'parts.conditions.push(expr`${arrival} <= ${nowUs}`)',
    put: 'parts.conditions.push(expr`${arrival} >= ${0}`)',
    foundBy: 'a bucket lets its burst through and no more, wherever another request comes',
  },
  {
    title: 'a bucket is emptied beyond its end by a request that another one overtakes',
    find: 'expr`${arrival} > ${nowUs} AND ${arrival} <= ${latestArrival(allowance, rate) - refill}`',
    put: 'expr`${arrival} > ${nowUs}`',
    foundBy: 'a bucket lets its burst through and no more, wherever another request comes',
  },
  {
    title: 'what a key had used is read before the day has changed',
    find: 'if (counter.day < start) return Number(counter.item[keyUseAttribute(caller.slot)] ?? 0)',
    put: 'if (counter.day < 0) return Number(counter.item[keyUseAttribute(caller.slot)] ?? 0)',
    foundBy: 'a budget by month spans its days, and one for good all of them',
  },
  {
    title: 'the ends of reservations leave the budget as it is',
    find: '{ sets: [], adds: [expr`${taken} ${units}`], conditions: [expr`attribute_exists(${taken})`] }',
    put: '{ sets: [], adds: [], conditions: [expr`attribute_exists(${taken})`] }',
    foundBy:
      'a budget counts what a key has used and holds, whichever two ends of a reservation come at once',
  },
  {
    title: 'a settle goes beyond the budget',
    find: 'reserved + Math.min(balanceOf(counter), keyLeftOf(allowance) ?? Infinity)',
    put: 'reserved + balanceOf(counter)',
    foundBy: 'a budget covers what was used beyond a reservation as far as it goes, whoever settles',
  },
  {
    title: 'a first budget does not count what is held',
    find: 'expr`${taken} = if_not_exists(${attr(keyUseAttribute(slot))}, ${0}) + ${held}`',
    put: 'expr`${taken} = if_not_exists(${attr(keyUseAttribute(slot))}, ${0})`',
    foundBy: 'a first budget counts what is used and held, wherever a reservation begins or ends',
  },
  {
    title: 'a first budget does not see that reservations change',
    find: "conditions: [unchangedSince(counter.item, ['v', 'y'])]",
    put: 'conditions: []',
    foundBy: 'a first budget counts what is used and held, wherever a reservation begins or ends',
  },
  {
    title: 'a first budget does not see that reservations outside the counter change hands',
    find: 'checks: outside.map(({ nonce }) => ({',
    put: 'checks: [].map(({ nonce }) => ({',
    foundBy: 'a first budget counts what is used and held, wherever a reservation begins or ends',
  },
  {
    title: 'the balance refuses before the budget does, and calls for a renewal',
    find: [
      'if (limited) throw limited',
      'if (units > balanceOf(counter)) {',
      'await noteRefusal(deps, caller.accountId, counter, units)',
    ],
    put: [
      'if (limited && units <= balanceOf(counter)) throw limited',
      'if (units > balanceOf(counter)) {',
      'await noteRefusal(deps, caller.accountId, counter, units)',
    ],
    foundBy: 'a request that its key may not make calls for no renewal',
  },
  {
    title: 'a refusal by a limit is remembered for a minute',
    find: ['const REFUSED_MS = 1000', 'const STANDINGS = 10_000'],
    put: ['const REFUSED_MS = 60_000', 'const STANDINGS = 10_000'],
    foundBy:
      'a remembered refusal by a limit is no answer to a spent id or a check, and lasts at most a second',
  },
]
