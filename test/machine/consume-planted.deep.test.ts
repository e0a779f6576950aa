// biome-ignore-all lint/suspicious/noTemplateCurlyInString: patches of sources that have them

import { describe, expect, test } from 'vitest'
import type { Bug } from './planted.ts'
import { plantedQuota } from './planted-quota.ts'
import { scenarios } from './quota-scenarios.ts'
import { openQuotaWorld, type QuotaFunctions } from './quota-world.ts'

/** What a scenario comes to with these functions: `undefined` if all that it asserts holds. */
async function failureOf(name: string, functions: QuotaFunctions): Promise<unknown> {
  const scenario = scenarios[name]
  if (!scenario) throw new Error(`nothing is called ${name}`)
  return scenario((options) => openQuotaWorld({ ...options, functions })).catch((error) => error)
}

/** `foundBy` is a scenario of `consume.test.ts`. */
const planted: (Bug & { title: string; foundBy: string })[] = [
  // --- One write ---
  {
    title: 'the ring is not looked into by the write',
    file: 'quota/counter.ts',
    find: 'if (known.length > 0) conditions.push',
    put: 'if (known.length < 0) conditions.push',
    foundBy: 'a future id is spent once, however many requests and turns come after it',
  },
  {
    title: 'the ring is looked into before the write only',
    file: 'quota/counter.ts',
    find: 'if (known.length > 0) conditions.push',
    put: 'if (known.length < 0) conditions.push',
    more: [
      {
        file: 'quota/consume.ts',
        find: 'let counter = id && (refused || id.time === 0) ?',
        put: 'let counter = id ?',
      },
    ],
    foundBy: 'a future id is spent once, though a turn archives it while its retry is on the way',
  },
  {
    title: 'the key is not checked by the write',
    file: 'quota/counter.ts',
    find: '    expr`${key} = ${caller.hash}`,\n',
    put: '',
    foundBy: 'the key is deleted or rotated between read and write: 401',
  },
  {
    title: 'a block is not checked by the write',
    file: 'quota/counter.ts',
    find: '    expr`attribute_not_exists(#x)`,\n',
    put: '',
    foundBy: 'the account is deactivated or suspended between read and write: 403',
  },
  {
    title: 'units go below the floor, and below zero',
    file: 'quota/counter.ts',
    find: 'conditions: [expr`#l >= ${units}`],',
    put: 'conditions: [],',
    foundBy: 'the units are spent between read and write: 402, and never below zero',
  },
  {
    title: 'a crossing takes the balance for what it was',
    file: 'quota/counter.ts',
    find: 'expr`#l >= ${units - f + floor} AND #l < ${units}`,',
    put: 'expr`#l < ${units}`,',
    foundBy: 'others spend between read and write what a crossing needs: 402, and never below zero',
  },
  {
    title: 'a 402 is recorded',
    file: 'quota/consume.ts',
    find: '    rememberRefusal(deps, caller, balanceOf(counter))\n',
    put: '    if (id) await deps.table.update(keys.quota(caller.accountId), expr`ADD #a ${new Set([id.entry])}`)\n',
    foundBy: 'a 402 is not recorded: the same id is spent after a top-up',
  },
  {
    title: 'an exhaustion that is remembered answers for a spent id',
    file: 'quota/consume.ts',
    find: 'if (refused && !id)',
    put: 'if (refused)',
    foundBy:
      'an exhaustion that is remembered answers for no id that was spent, and for no longer than a second',
  },
  {
    title: 'an exhaustion is remembered for ten seconds',
    file: 'quota/consume.ts',
    find: 'const REFUSED_MS = 1000',
    put: 'const REFUSED_MS = 10_000',
    foundBy:
      'an exhaustion that is remembered answers for no id that was spent, and for no longer than a second',
  },
  {
    title: 'an exhaustion that is remembered answers for less than is left',
    file: 'quota/consume.ts',
    find: 'return holds === true && units > refusal.balance',
    put: 'return holds === true',
    foundBy: 'an exhaustion that is remembered answers for no fewer units, and not while a clock is set back',
  },
  {
    title: 'an exhaustion is remembered for as long as a clock is set back',
    file: 'quota/consume.ts',
    find: ' && nowMs >= refusal.untilMs - REFUSED_MS',
    put: '',
    foundBy: 'an exhaustion that is remembered answers for no fewer units, and not while a clock is set back',
  },
  // --- Fences ---
  {
    title: 'a fresh id is spent without the fence m',
    file: 'quota/consume.ts',
    find: '(id ? [expr`#m < ${id.time}`] : [])',
    put: '(id ? [] : [])',
    foundBy: 'a time-ordered id is spent once, though a turn archives it while its retry is on the way',
  },
  {
    title: 'a late id is spent without the fence g',
    file: 'quota/consume.ts',
    find: 'fence: [expr`#g = ${counter.g}`]',
    put: 'fence: []',
    foundBy:
      'a late id is spent once, though a turn archives it between the look into the archive and the write',
  },
  {
    title: 'the archive is not looked into',
    file: 'quota/consume.ts',
    find: 'if (late && (await archived',
    put: 'if (late && !late && (await archived',
    foundBy: 'a untimed id is spent once, however many requests and turns come after it',
  },
  {
    title: 'a batch is spent without the fence m',
    file: 'quota/batch.ts',
    find: '  if (oldestFresh) fence.push(expr`#m < ${oldestFresh.time}`)\n',
    put: '',
    foundBy: 'a batch of fresh ids, spent by another one between read and write, spends nothing',
  },
  {
    title: 'a batch is spent without the fence g',
    file: 'quota/batch.ts',
    find: '  if (late.length > 0) fence.push(expr`#g = ${seen.g}`)\n',
    put: '',
    foundBy: 'a batch of late ids, spent by another one between read and write, spends nothing',
  },
  {
    title: 'a batch of late ids does not move the fence g',
    file: 'quota/batch.ts',
    find: '  if (staged && late.length > 0) sets.push(expr`#g = #g + ${1}`)\n',
    put: '',
    foundBy: 'a batch of late ids, spent by another one between read and write, spends nothing',
  },
  {
    title: 'a batch does not make its ids late',
    file: 'quota/batch.ts',
    find: '  if (staged && oldestFresh && newest) sets.push(expr`#m = ${newest.time}`)\n',
    put: '',
    foundBy:
      'a time-ordered id is spent once by a batch and a request at once, whoever is first at whichever step',
  },
  {
    title: 'a batch of ids dated in the future makes every other id late',
    file: 'quota/batch.ts',
    find: 'id.time > 0 && id.time <= nowTime + AHEAD_MS',
    put: 'id.time > 0 && nowTime > 0',
    foundBy: 'a batch of ids dated in the future makes no other one late',
  },
  // --- Turn and archive ---
  {
    title: 'a turn drops before it archives',
    file: 'quota/evict.ts',
    find: '  await Promise.all([\n    deps.table.putAll(',
    put: `  await drop(deps, accountId, counter, {
    leaving,
    newest: timed.at(-1)?.time ?? 0,
    spans: groups.reduce((bits, { span }) => bits | spanBit(span), 0),
  })
  await Promise.all([
    deps.table.putAll(`,
    foundBy: 'a turn that breaks off at any call loses no id: batches, words and times',
  },
  {
    title: 'a turn does not move the fence g',
    file: 'quota/evict.ts',
    find: 'const sets = [expr`#g = #g + ${1}`]',
    put: 'const sets = [expr`#g = #g + ${0}`]',
    foundBy:
      'a untimed id is spent once, though a turn archives it between the look into the archive and the write',
  },
  {
    title: 'a turn lowers m',
    file: 'quota/evict.ts',
    find: '    conditions.push(expr`#m < ${gone.newest}`)\n',
    put: '',
    foundBy:
      'a batch that commits while a turn is on its way keeps its ids late: the turn does not lower what is newest',
  },
  {
    title: 'a turn does not note the spans of what it archives',
    file: 'quota/evict.ts',
    find: '(o | gone.spans) !== o',
    put: 'o > 4096',
    foundBy: 'a quiet account’s ids go many into one archive item too, however far apart they are',
  },
  {
    title: 'a turn does not archive untimed ids',
    file: 'quota/evict.ts',
    find: ".filter(({ kind }) => kind === 'untimed')\n        .map",
    put: ".filter(({ kind }) => kind === 'timed')\n        .map",
    foundBy: 'a untimed id is spent once, however many requests and turns come after it',
  },
  {
    title: 'a turn archives the newest ids too, those dated in the future among them',
    file: 'quota/evict.ts',
    find: 'const KEPT = 16',
    put: 'const KEPT = 0',
    foundBy: 'an id dated in the future makes no other one late',
  },
  {
    title: 'the archive item of a batch does not count once its entry has left the ring',
    file: 'quota/evict.ts',
    find: "    ...leaving.filter((entry) => entry.kind === 'batch').map((entry) => validate(deps, accountId, entry)),\n",
    put: '',
    foundBy:
      'a batch that commits while a turn is on its way keeps its ids late: the turn does not lower what is newest',
  },
  {
    title: 'the archive item of a batch that was not committed counts',
    file: 'quota/archive.ts',
    find: 'if (valid || counts(counter, sk))',
    put: 'if (valid || sk)',
    foundBy:
      'a batch that broke off after its archive item has spent nothing, and none of its ids counts as spent',
  },
  {
    title: 'the archive item of a committed batch does not count while its entry is in the ring',
    file: 'quota/archive.ts',
    find: 'if (valid || counts(counter, sk))',
    put: 'if (valid)',
    foundBy: 'a batch of late ids, spent by another one between read and write, spends nothing',
  },
  {
    title: 'an id is looked for under its own time only',
    file: 'quota/archive.ts',
    find: '{ from: id.time, to: id.time + spanMs, ids: [id] }',
    put: '{ from: id.time, to: id.time, ids: [id] }',
    foundBy: 'a time-ordered id is spent once, however many requests and turns come after it',
  },
  {
    title: 'a turn forgets what another one noted of the archive',
    file: 'quota/evict.ts',
    find: '    conditions.push(expr`#o = ${o}`)\n',
    put: '',
    foundBy: 'two turns at once: what each notes of the archive stays',
  },
  {
    title: 'a turn makes an item that TTL has deleted anew, without its ids',
    file: 'quota/evict.ts',
    find: 'expr`SET #valid = ${true}`, expr`attribute_exists(pk)`',
    put: 'expr`SET #valid = ${true}`',
    foundBy: 'the archive item of a batch that TTL has deleted stays deleted',
  },
  {
    title: 'ids of a batch are looked for as far as the first of them could be',
    file: 'quota/archive.ts',
    find: '      last.to = id.time + spanMs\n',
    put: '',
    foundBy: 'a batch of ids that were spent spends nothing, however they are spread over the archive',
  },
  {
    title: 'ids of a batch are looked for as if they were in order',
    file: 'quota/archive.ts',
    find: '.sort((a, b) => a.time - b.time)',
    put: '',
    foundBy: 'a batch of ids that were spent spends nothing, however they are spread over the archive',
  },
  {
    title: 'one page of the archive is read',
    file: 'quota/archive.ts',
    find: 'items.length === PAGE ? items.at(-1)?.sk : undefined',
    put: 'undefined',
    foundBy: 'an id is found behind more items of its time than a page holds',
  },
  {
    title: 'a batch commits the archive item of what it wanted to spend before',
    file: 'quota/batch.ts',
    find: 'staged?.ids.length === ids.length && staged.ids.every((id, at) => id === ids[at])',
    put: 'staged !== undefined && ids.length > 0',
    foundBy:
      'a batch of which others leave only a part to be spent: what it is refused is not taken for spent',
  },
  {
    title: 'a batch spends for an id each time that it names it',
    file: 'quota/batch.ts',
    find: "byEntry.get(id.entry.toString('hex')) ?? { units, id }",
    put: '{ units, id }',
    foundBy: 'a batch that names an id twice spends for it once',
  },
  // --- Thresholds ---
  {
    title: 'a threshold that somebody else crossed is crossed again',
    file: 'quota/counter.ts',
    find: 'expr`#f = ${f} AND #s = ${s} AND #q = ${q}`,',
    put: 'expr`#s = ${s} AND #q = ${q}`,',
    foundBy: 'somebody else crosses and spends on between read and write: his threshold is not crossed again',
  },
  {
    title: 'a threshold is crossed though a credit came between',
    file: 'quota/counter.ts',
    find: 'expr`#f = ${f} AND #s = ${s} AND #q = ${q}`,',
    put: 'expr`#f = ${f} AND #q = ${q}`,',
    foundBy: 'a credit between read and write: a threshold that is no longer crossed does not fire',
  },
  {
    title: 'a threshold of the bundle before is crossed',
    file: 'quota/counter.ts',
    find: 'expr`#f = ${f} AND #s = ${s} AND #q = ${q}`,',
    put: 'expr`#f = ${f}`,',
    foundBy:
      'a credit of another bundle between read and write: the same floor of another size is not taken for it',
  },
  {
    title: 'a notice waits that no job sees',
    file: 'quota/counter.ts',
    find: 'if (notice || renewal) {',
    put: 'if (renewal) {',
    foundBy: 'below 10 % a notice waits, below 1 % a renewal too, and both are due; at the threshold neither',
  },
  {
    title: 'a later crossing puts off what is due',
    file: 'quota/counter.ts',
    find: '#dueAtMs = if_not_exists(#dueAtMs, ${dueAtMs})`',
    put: '#dueAtMs = ${dueAtMs}`',
    foundBy: 'below 10 % a notice waits, below 1 % a renewal too, and both are due; at the threshold neither',
  },
  {
    title: 'at a threshold it counts as crossed',
    file: 'quota/thresholds.ts',
    find: 'balance >= threshold',
    put: 'balance > threshold',
    foundBy: 'a crossing that ends at the next threshold does not cross that one',
  },
  {
    title: 'one consume over two thresholds calls for one thing',
    file: 'quota/thresholds.ts',
    find: 'renewal: from >= renewalAt(size)',
    put: 'renewal: from < noticeAt(size) && from >= renewalAt(size)',
    foundBy: 'thresholds fire exactly once a crossing, of 100 units at once',
  },
  // --- Ledger ---
  {
    title: 'the ledger is applied twice',
    file: 'quota/apply-ledger.ts',
    find: 'if: expr`#s = ${quota.seq} AND #f = ${quota.floor} AND',
    put: 'if: expr`#f = ${quota.floor} AND',
    foundBy: 'the ledger is applied once, though another one applies it between read and write',
  },
  {
    title: 'the ledger is applied on a floor that is gone',
    file: 'quota/apply-ledger.ts',
    find: 'AND #f = ${quota.floor} AND',
    put: 'AND',
    foundBy:
      'what is spent while the ledger is applied stays spent, on this side of a threshold or beyond it',
  },
  // --- Days ---
  {
    title: 'the day changes before its snapshot',
    file: 'quota/day-snapshot.ts',
    find: '  await deps.table\n    .put(snapshot, expr`attribute_not_exists(pk) OR #u < ${counter.u}`)\n    // Another put the same, or a later one.\n    .catch(ignoreRefusal)\n',
    put: '',
    more: [
      {
        file: 'quota/day-snapshot.ts',
        find: '    return parseCounter(moved)\n',
        put: '    await deps.table.put(snapshot, expr`attribute_not_exists(pk) OR #u < ${counter.u}`).catch(ignoreRefusal)\n    return parseCounter(moved)\n',
      },
    ],
    foundBy: 'whoever changes the day and breaks off at any call leaves the right snapshot',
  },
  {
    title: 'a snapshot takes the place of a later one',
    file: 'quota/day-snapshot.ts',
    find: '.put(snapshot, expr`attribute_not_exists(pk) OR #u < ${counter.u}`)',
    put: '.put(snapshot)',
    foundBy: 'a snapshot that comes too late does not take the place of the right one',
  },
  {
    title: 'the first snapshot stays, though more was used since',
    file: 'quota/day-snapshot.ts',
    find: 'attribute_not_exists(pk) OR #u < ${counter.u}`',
    put: 'attribute_not_exists(pk)`',
    foundBy:
      'the first consume of a day keeps what the counters stood at, one of a clock that is behind included',
  },
  {
    title: 'the day changes though somebody used more of it since the snapshot',
    file: 'quota/day-snapshot.ts',
    find: 'expr`#d = ${counter.d} AND #u = ${counter.u}`',
    put: 'expr`#d = ${counter.d}`',
    foundBy:
      'the first consume of a day keeps what the counters stood at, one of a clock that is behind included',
  },
  {
    title: 'the day is not looked at by the write',
    file: 'quota/counter.ts',
    find: '    expr`#d >= ${today}`,\n',
    put: '',
    foundBy: 'a hundred at once change it once, and nothing is lost',
  },
  {
    title: 'a clock that is behind moves the day back',
    file: 'quota/counter.ts',
    find: 'expr`#d >= ${today}`',
    put: 'expr`#d = ${today}`',
    more: [{ file: 'quota/consume.ts', find: 'if (counter.d < today)', put: 'if (counter.d !== today)' }],
    foundBy: 'a clock that is behind does not move the counter back',
  },
]

describe('a planted bug is found', () => {
  test.each(planted)('$title', async ({ foundBy, ...bug }) => {
    const { functions, remove } = await plantedQuota(bug)
    const failure = await failureOf(foundBy, functions).finally(remove)
    // An assertion that does not hold: a patch that merely throws proves nothing.
    expect(failure).toMatchObject({ name: 'AssertionError' })
  })

  test('by its bug alone: an unchanged copy passes every scenario that finds one', async () => {
    const same = { file: 'quota/consume.ts', find: 'TRIES = 20', put: 'TRIES = 20' }
    const { functions, remove } = await plantedQuota(same)
    const failures: unknown[] = []
    for (const name of new Set(planted.map(({ foundBy }) => foundBy)))
      failures.push(await failureOf(name, functions))
    remove()
    expect(failures.filter((failure) => failure !== undefined)).toEqual([])
  })
})
