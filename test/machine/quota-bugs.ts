// biome-ignore-all lint/suspicious/noTemplateCurlyInString: patches of sources that have them

import { spendUpdate } from '../../core/quota/counter.ts'
import { expr } from '../../core/table/expression.ts'
import type { Bug } from './patch.ts'

/** `foundBy` is a scenario of `quota-scenarios.ts`. */
export const quotaBugs: readonly (Bug & { title: string; foundBy: string })[] = [
  // --- One write ---
  {
    title: 'the ring is not looked into by the write',
    find: [
      'const known = ids.map((id) => expr`contains(#a, ${id})`)',
      'if (known.length > 0) conditions.push(',
    ],
    put: [
      'const known = ids.map((id) => expr`contains(#a, ${id})`)',
      'if (known.length < 0) conditions.push(',
    ],
    foundBy: 'a future id is spent once, however many requests and turns come after it',
  },
  {
    title: 'the ring is looked into before the write only',
    find: [
      'const known = ids.map((id) => expr`contains(#a, ${id})`)',
      'if (known.length > 0) conditions.push(',
    ],
    put: [
      'const known = ids.map((id) => expr`contains(#a, ${id})`)',
      'if (known.length < 0) conditions.push(',
    ],
    more: [{ find: 'let counter = id && (refused || id.time === 0) ?', put: 'let counter = id ?' }],
    foundBy: 'a future id is spent once, though a turn archives it while its retry is on the way',
  },
  {
    title: 'the key is not checked by the write',
    find: ['expr`${key} = ${caller.hash}`,', 'expr`attribute_not_exists(#x)`'],
    put: 'expr`attribute_not_exists(#x)`',
    foundBy: 'the key is deleted or rotated between read and write: 401',
  },
  {
    title: 'a block is not checked by the write',
    find: ['expr`attribute_not_exists(#x)`,', 'expr`#d >= ${today}`'],
    put: 'expr`#d >= ${today}`',
    foundBy: 'the account is deactivated or suspended between read and write: 403',
  },
  {
    title: 'units go below the floor, and below zero',
    find: 'conditions: [expr`#l >= ${units}`]',
    put: 'conditions: []',
    foundBy: 'the units are spent between read and write: 402, and never below zero',
  },
  {
    title: 'a crossing takes the balance for what it was',
    find: 'expr`#l >= ${units - seen.floor + floor} AND #l < ${units}`',
    put: 'expr`#l < ${units}`',
    foundBy: 'others spend between read and write what a crossing needs: 402, and never below zero',
  },
  {
    title: 'a 402 is recorded',
    find: ['if (units > balanceOf(counter)) {', 'rememberRefusal(deps, caller, balanceOf(counter))'],
    put: [
      'if (units > balanceOf(counter)) {',
      'if (id) await deps.table.update(keys.quota(caller.accountId), expr`ADD #a ${new Set([id.entry])}`)',
    ],
    using: { expr },
    namesFrom: [
      'if (id && inRing(counter, id.entry)) return',
      'await deps.table.update(keys.quota(caller.accountId), set, condition, { once: !id })',
    ],
    foundBy: 'a 402 is not recorded: the same id is spent after a top-up',
  },
  {
    title: 'an exhaustion that is remembered answers for a spent id',
    find: "if (refused && !id) throw new DomainError('quota_exhausted')",
    put: "if (refused) throw new DomainError('quota_exhausted')",
    foundBy:
      'an exhaustion that is remembered answers for no id that was spent, and for no longer than a second',
  },
  {
    title: 'an exhaustion is remembered for ten seconds',
    find: ['const REFUSED_MS = 1000', 'const REFUSALS = 1000'],
    put: ['const REFUSED_MS = 10_000', 'const REFUSALS = 1000'],
    foundBy:
      'an exhaustion that is remembered answers for no id that was spent, and for no longer than a second',
  },
  {
    title: 'an exhaustion that is remembered answers for less than is left',
    find: 'return holds === true && units > refusal.balance',
    put: 'return holds === true',
    foundBy: 'an exhaustion that is remembered answers for no fewer units, and not while a clock is set back',
  },
  {
    title: 'an exhaustion is remembered for as long as a clock is set back',
    find: 'refusal && nowMs < refusal.untilMs && nowMs >= refusal.untilMs - REFUSED_MS',
    put: 'refusal && nowMs < refusal.untilMs',
    foundBy: 'an exhaustion that is remembered answers for no fewer units, and not while a clock is set back',
  },
  // --- Fences ---
  {
    title: 'a fresh id is spent without the fence m',
    find: '(id ? [expr`#m < ${id.time}`] : [])',
    put: '(id ? [] : [])',
    foundBy: 'a time-ordered id is spent once, though a turn archives it while its retry is on the way',
  },
  {
    title: 'a late id is spent without the fence g',
    find: 'fence: [expr`#g = ${counter.fence}`]',
    put: 'fence: []',
    foundBy:
      'a late id is spent once, though a turn archives it between the look into the archive and the write',
  },
  {
    title: 'the archive is not looked into',
    find: 'if (late && (await archived(deps, caller.accountId, counter, [id])).size > 0)',
    put: 'if (late && !late && (await archived(deps, caller.accountId, counter, [id])).size > 0)',
    foundBy: 'a untimed id is spent once, however many requests and turns come after it',
  },
  {
    title: 'a batch is spent without the fence m',
    find: 'if (oldestFresh) fence.push(expr`#m < ${oldestFresh.time}`)',
    put: '',
    foundBy: 'a batch of fresh ids, spent by another one between read and write, spends nothing',
  },
  {
    title: 'a batch is spent without the fence g',
    find: 'if (late.length > 0) fence.push(expr`#g = ${seen.g}`)',
    put: '',
    foundBy: 'a batch of late ids, spent by another one between read and write, spends nothing',
  },
  {
    title: 'a batch of late ids does not move the fence g',
    find: 'if (staged && late.length > 0) sets.push(expr`#g = #g + ${1}`)',
    put: '',
    foundBy: 'a batch of late ids, spent by another one between read and write, spends nothing',
  },
  {
    title: 'a batch does not make its ids late',
    find: 'if (staged && oldestFresh && newest) sets.push(expr`#m = ${newest.time}`)',
    put: '',
    foundBy:
      'a time-ordered id is spent once by a batch and a request at once, whoever is first at whichever step',
  },
  {
    title: 'a batch of ids dated in the future makes every other id late',
    find: 'id.time > 0 && id.time <= nowTime + AHEAD_MS',
    put: 'id.time > 0 && nowTime > 0',
    foundBy: 'a batch of ids dated in the future makes no other one late',
  },
  // --- Turn and archive ---
  {
    title: 'a turn drops before it archives',
    find: ['await Promise.all([', 'deps.table.putAll('],
    put: [
      'const $spans = groups.reduce((bits, { span }) => bits | spanBit(span), 0)',
      'await drop(deps, accountId, counter, { leaving, newest: timed.at(-1)?.time ?? 0, spans: $spans })',
      'await Promise.all([',
      'deps.table.putAll(',
    ],
    namesFrom: [
      [
        'const spans = groups.reduce((bits, { span }) => bits | spanBit(span), 0)',
        'await drop(deps, accountId, counter, { leaving, newest: timed.at(-1)?.time ?? 0, spans })',
      ],
    ],
    foundBy: 'a turn that breaks off at any call loses no id: batches, words and times',
  },
  {
    title: 'a turn does not move the fence g',
    find: 'const sets = [expr`#g = #g + ${1}`]',
    put: 'const sets = [expr`#g = #g + ${0}`]',
    foundBy:
      'a untimed id is spent once, though a turn archives it between the look into the archive and the write',
  },
  {
    title: 'a turn lowers m',
    find: ['sets.push(expr`#m = ${gone.newest}`)', 'conditions.push(expr`#m < ${gone.newest}`)'],
    put: 'sets.push(expr`#m = ${gone.newest}`)',
    foundBy:
      'a batch that commits while a turn is on its way keeps its ids late: the turn does not lower what is newest',
  },
  {
    title: 'a turn does not note the spans of what it archives',
    find: 'const spans = archiveSpans | gone.spans\nif (spans !== archiveSpans)',
    put: 'const spans = archiveSpans | gone.spans\nif (archiveSpans > 4096)',
    foundBy: 'a quiet account’s ids go many into one archive item too, however far apart they are',
  },
  {
    title: 'a turn does not archive untimed ids',
    find: ".filter(({ kind }) => kind === 'untimed').map(",
    put: ".filter(({ kind }) => kind === 'timed').map(",
    foundBy: 'a untimed id is spent once, however many requests and turns come after it',
  },
  {
    title: 'a turn archives the newest ids too, those dated in the future among them',
    find: 'timed.length + batches.length - KEPT',
    put: 'timed.length + batches.length - 0',
    foundBy: 'an id dated in the future makes no other one late',
  },
  {
    title: 'the archive item of a batch does not count once its entry has left the ring',
    find: "...leaving.filter((entry) => entry.kind === 'batch').map((entry) => validate(deps, accountId, entry))",
    put: '...[]',
    foundBy:
      'a batch that commits while a turn is on its way keeps its ids late: the turn does not lower what is newest',
  },
  {
    title: 'the archive item of a batch that was not committed counts',
    find: 'if (valid || counts(counter, sk))',
    put: 'if (valid || sk)',
    foundBy:
      'a batch that broke off after its archive item has spent nothing, and none of its ids counts as spent',
  },
  {
    title: 'the archive item of a committed batch does not count while its entry is in the ring',
    find: 'if (valid || counts(counter, sk))',
    put: 'if (valid)',
    foundBy: 'a batch of late ids, spent by another one between read and write, spends nothing',
  },
  {
    title: 'an id is looked for under its own time only',
    find: '{ from: id.time, to: id.time + spanMs, ids: [id] }',
    put: '{ from: id.time, to: id.time, ids: [id] }',
    foundBy: 'a time-ordered id is spent once, however many requests and turns come after it',
  },
  {
    title: 'a turn forgets what another one noted of the archive',
    find: ['sets.push(expr`#o = ${spans}`)', 'conditions.push(expr`#o = ${archiveSpans}`)'],
    put: 'sets.push(expr`#o = ${spans}`)',
    foundBy: 'two turns at once: what each notes of the archive stays',
  },
  {
    title: 'a turn makes an item that TTL has deleted anew, without its ids',
    find: 'expr`SET #valid = ${true}`, expr`attribute_exists(pk)`',
    put: 'expr`SET #valid = ${true}`',
    foundBy: 'the archive item of a batch that TTL has deleted stays deleted',
  },
  {
    title: 'ids of a batch are looked for as far as the first of them could be',
    find: ['last.to = id.time + spanMs', 'last.ids.push(id)'],
    put: 'last.ids.push(id)',
    foundBy: 'a batch of ids that were spent spends nothing, however they are spread over the archive',
  },
  {
    title: 'ids of a batch are looked for as if they were in order',
    find: '.filter(({ time }) => time > 0).sort((a, b) => a.time - b.time)',
    put: '.filter(({ time }) => time > 0)',
    foundBy: 'a batch of ids that were spent spends nothing, however they are spread over the archive',
  },
  {
    title: 'one page of the archive is read',
    find: 'items.length === PAGE ? items.at(-1)?.sk : undefined',
    put: 'undefined',
    foundBy: 'an id is found behind more items of its time than a page holds',
  },
  {
    title: 'a batch commits the archive item of what it wanted to spend before',
    find: 'staged?.ids.length === ids.length && staged.ids.every((id, at) => id === ids[at])',
    put: 'staged !== undefined && ids.length > 0',
    foundBy:
      'a batch of which others leave only a part to be spent: what it is refused is not taken for spent',
  },
  {
    title: 'a batch spends for an id each time that it names it',
    find: "byEntry.get(id.entry.toString('hex')) ?? { units, id }",
    put: '{ units, id }',
    foundBy: 'a batch that names an id twice spends for it once',
  },
  // --- Thresholds ---
  {
    title: 'a threshold that somebody else crossed is crossed again',
    find: 'expr`#f = ${seen.floor} AND #s = ${seen.seq} AND #q = ${seen.size}`',
    put: 'expr`#s = ${seen.seq} AND #q = ${seen.size}`',
    foundBy: 'somebody else crosses and spends on between read and write: his threshold is not crossed again',
  },
  {
    title: 'a threshold is crossed though a credit came between',
    find: 'expr`#f = ${seen.floor} AND #s = ${seen.seq} AND #q = ${seen.size}`',
    put: 'expr`#f = ${seen.floor} AND #q = ${seen.size}`',
    foundBy: 'a credit between read and write: a threshold that is no longer crossed does not fire',
  },
  {
    title: 'a threshold of the bundle before is crossed',
    find: 'expr`#f = ${seen.floor} AND #s = ${seen.seq} AND #q = ${seen.size}`',
    put: 'expr`#f = ${seen.floor}`',
    foundBy:
      'a credit of another bundle between read and write: the same floor of another size is not taken for it',
  },
  {
    title: 'a notice waits that no job sees',
    find: ['if (notice || renewal) {', 'const { due, dueAtMs } = dueAt('],
    put: ['if (renewal) {', 'const { due, dueAtMs } = dueAt('],
    foundBy: 'below 10 % a notice waits, below 1 % a renewal too, and both are due; at the threshold neither',
  },
  {
    title: 'a later crossing puts off what is due',
    near: spendUpdate,
    find: 'expr`#due = if_not_exists(#due, ${due}), #dueAtMs = if_not_exists(#dueAtMs, ${dueAtMs})`',
    put: 'expr`#due = if_not_exists(#due, ${due}), #dueAtMs = ${dueAtMs}`',
    foundBy: 'below 10 % a notice waits, below 1 % a renewal too, and both are due; at the threshold neither',
  },
  {
    title: 'at a threshold it counts as crossed',
    find: '.find((threshold) => balance >= threshold)',
    put: '.find((threshold) => balance > threshold)',
    foundBy: 'a crossing that ends at the next threshold does not cross that one',
  },
  {
    title: 'one consume over two thresholds calls for one thing',
    find: [
      '{ notice: from >= noticeAt(size) && to < noticeAt(size),',
      'renewal: from >= renewalAt(size) && to < renewalAt(size) }',
    ],
    put: [
      '{ notice: from >= noticeAt(size) && to < noticeAt(size),',
      'renewal: from < noticeAt(size) && from >= renewalAt(size) && to < renewalAt(size) }',
    ],
    foundBy: 'thresholds fire exactly once a crossing, of 100 units at once',
  },
  // --- Ledger ---
  {
    title: 'the ledger is applied twice',
    find: 'if: expr`#s = ${quota.seq} AND #f = ${quota.floor} AND #l >= ${Math.max(0, -delta)}`',
    put: 'if: expr`#f = ${quota.floor} AND #l >= ${Math.max(0, -delta)}`',
    foundBy: 'the ledger is applied once, though another one applies it between read and write',
  },
  {
    title: 'the ledger is applied on a floor that is gone',
    find: 'if: expr`#s = ${quota.seq} AND #f = ${quota.floor} AND #l >= ${Math.max(0, -delta)}`',
    put: 'if: expr`#s = ${quota.seq} AND #l >= ${Math.max(0, -delta)}`',
    foundBy:
      'what is spent while the ledger is applied stays spent, on this side of a threshold or beyond it',
  },
  // --- Days ---
  {
    title: 'the day changes before its snapshot',
    find: [
      'await deps.table.put(snapshot, expr`attribute_not_exists(pk) OR #u < ${counter.used}`).catch(ignoreRefusal)',
      'try {',
      'const moved = await deps.table.update(',
      'keys.quota(accountId), expr`SET #d = ${today}`, expr`#d = ${counter.day} AND #u = ${counter.used}`)',
    ],
    put: [
      'try {',
      'const moved = await deps.table.update(',
      'keys.quota(accountId), expr`SET #d = ${today}`, expr`#d = ${counter.day} AND #u = ${counter.used}`)',
      'await deps.table.put(snapshot, expr`attribute_not_exists(pk) OR #u < ${counter.used}`).catch(ignoreRefusal)',
    ],
    foundBy: 'whoever changes the day and breaks off at any call leaves the right snapshot',
  },
  {
    title: 'a snapshot takes the place of a later one',
    find: '.put(snapshot, expr`attribute_not_exists(pk) OR #u < ${counter.used}`)',
    put: '.put(snapshot)',
    foundBy: 'a snapshot that comes too late does not take the place of the right one',
  },
  {
    title: 'the first snapshot stays, though more was used since',
    find: 'expr`attribute_not_exists(pk) OR #u < ${counter.used}`',
    put: 'expr`attribute_not_exists(pk)`',
    foundBy:
      'the first consume of a day keeps what the counters stood at, one of a clock that is behind included',
  },
  {
    title: 'the day changes though somebody used more of it since the snapshot',
    find: 'expr`#d = ${counter.day} AND #u = ${counter.used}`',
    put: 'expr`#d = ${counter.day}`',
    foundBy:
      'the first consume of a day keeps what the counters stood at, one of a clock that is behind included',
  },
  {
    title: 'the day is not looked at by the write',
    find: ['expr`#d >= ${today}`,', '...step.conditions'],
    put: '...step.conditions',
    foundBy: 'a hundred at once change it once, and nothing is lost',
  },
  {
    title: 'a clock that is behind moves the day back',
    find: 'expr`#d >= ${today}`',
    put: 'expr`#d = ${today}`',
    more: [{ find: 'if (counter.day < today) return {', put: 'if (counter.day !== today) return {' }],
    foundBy: 'a clock that is behind does not move the counter back',
  },
]
