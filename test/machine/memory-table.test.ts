import { expect, test } from 'vitest'
import { attr, type Expression, expr } from '../../core/table/expression.ts'
import { dueAt } from '../../core/table/keys.ts'
import { ConditionFailed, type Item, type Table, type Write } from '../../core/table/table.ts'
import { startApp } from '../support/app.ts'
import { memoryTable } from './memory-table.ts'

const { table: database } = await (await startApp()).ports()
const memory = memoryTable()
const tables = [database, memory]

let made = 0
const newKey = () => ({ pk: `MEMORY#${++made}`, sk: '#TEST' })

/** The answer of a table, or its refusal as a value. */
const told = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => ['done', value],
    (error: unknown) => (error instanceof ConditionFailed ? ['refused', [...error.failed]] : ['error']),
  )

/** Asserts that both tables give the same answer. @returns that answer. */
async function alike(call: (table: Table) => Promise<unknown>): Promise<unknown> {
  const [theirs, ours] = await Promise.all(tables.map((table) => told(call(table))))
  expect(ours).toEqual(theirs)
  return theirs
}

const bytes = (...values: number[]) => Uint8Array.from(values)

const ITEM = {
  n: 5,
  text: 'b',
  map: { a: { b: 1 }, 'x.y': 2 },
  list: [1, 2],
  no: undefined,
  flag: true,
  set: new Set([bytes(1, 2), bytes(3)]),
  raw: bytes(7),
}

const conditions: Expression[] = [
  expr`attribute_exists(pk)`,
  expr`attribute_not_exists(pk)`,
  expr`attribute_exists(#map.#a.#b)`,
  expr`attribute_not_exists(#map.${attr('x.y')})`,
  expr`attribute_not_exists(#no)`,
  expr`#n = ${5}`,
  expr`#n <> ${5}`,
  expr`#missing <> ${5}`,
  expr`#missing = ${5}`,
  expr`#missing < ${5}`,
  expr`#missing > ${5}`,
  expr`#n < ${6} AND #n >= ${5}`,
  expr`#n < ${5} OR #text = ${'b'} AND #n = ${5}`,
  expr`(#n < ${5} OR #text = ${'b'}) AND #n = ${4}`,
  expr`NOT #n = ${4}`,
  expr`#text IN (${'a'}, ${'b'})`,
  expr`#missing IN (${'a'}, ${'b'})`,
  expr`#list = ${[1, 2]}`,
  expr`#list = ${[2, 1]}`,
  expr`size(#list) = ${2}`,
  expr`size(#list) = ${1}`,
  expr`#map = ${{ 'x.y': 2, a: { b: 1 } }}`,
  expr`#flag = ${true}`,
  expr`#n = ${'5'}`,
  expr`#text > ${'a'} AND #text <= ${'b'}`,
  expr`contains(#set, ${bytes(3)})`,
  expr`size(#set) <= ${2}`,
  expr`attribute_not_exists(#missing) OR size(#missing) <= ${2}`,
  expr`size(#missing) <= ${2}`,
  expr`contains(#set, ${bytes(2)})`,
  expr`NOT (contains(#set, ${bytes(3)}) OR contains(#set, ${bytes(9)}))`,
  expr`NOT contains(#missing, ${bytes(3)})`,
  expr`#raw = ${bytes(7)} AND #n < ${6}`,
  expr`#raw = ${bytes(8)}`,
]

const updates: Expression[] = [
  expr`SET #n = #n + ${2}, #m = #n`,
  expr`SET #n = #n - ${2} REMOVE #text, #absent`,
  expr`SET #map.${attr('k.l')} = ${1} REMOVE #map.${attr('x.y')}`,
  expr`SET #map = ${{}}, #list = ${[3]}`,
  expr`SET #n = #n - ${1} ADD #m ${2}, #set ${new Set([bytes(3), bytes(4)])}`,
  expr`ADD #n ${2}, #fresh ${new Set([bytes(1)])}`,
  expr`SET #n = #n + ${1} DELETE #set ${new Set([bytes(3), bytes(9)])}`,
  expr`DELETE #set ${new Set([bytes(3), bytes(1, 2)])}`,
  expr`DELETE #missing ${new Set([bytes(3)])}`,
  expr`SET #n = if_not_exists(#n, ${0}) + ${1}, #r = if_not_exists(#r, ${0}) + ${1}`,
  expr`ADD #text ${1}`,
  expr`SET #missing.#part = ${1}`,
  expr`SET #n = #missing + ${1}`,
  expr`SET #n = #missing`,
]

test.each(conditions)(
  'a condition holds in memory exactly when it holds in the database: %j',
  async (condition) => {
    for (const item of [ITEM, undefined]) {
      const key = newKey()
      if (item) for (const table of tables) await table.put({ ...key, ...item })
      await alike((table) => table.update(key, expr`SET #seen = ${true}`, condition))
      await alike((table) => table.put({ ...key, n: 7 }, condition))
      await alike((table) => table.remove(key, condition))
      await alike((table) => table.get(key))
    }
  },
)

test.each(updates)('an update leaves the same item: %j', async (set) => {
  for (const item of [ITEM, undefined]) {
    const key = newKey()
    if (item) for (const table of tables) await table.put({ ...key, ...item })
    await alike((table) => table.update(key, set))
    await alike((table) => table.get(key))
  }
})

test('a transaction succeeds or fails alike in both tables, and names the same failed writes', async () => {
  const [a, b, c] = [newKey(), newKey(), newKey()]
  for (const table of tables) for (const key of [a, b]) await table.put({ ...key, n: 1 })
  const transactions: Write[][] = [
    [{ put: { ...c, n: 1 } }, { remove: a, if: expr`#n = ${2}` }, { check: b, if: expr`#n = ${1}` }],
    [{ put: { ...c, n: 1 } }, { update: a, set: expr`SET #n = ${2}` }, { remove: b, if: expr`#n = ${1}` }],
    [{ update: a, set: expr`SET #n = ${3}` }, { remove: a }],
    [
      { update: b, set: expr`SET #n = ${3}` },
      { check: c, if: expr`#n = ${1}` },
    ],
  ]
  for (const writes of transactions) {
    await alike((table) => table.transact(writes))
    for (const key of [a, b, c]) await alike((table) => table.get(key))
  }
})

test('sixty puts have the same result in both tables, whether or not items exist', async () => {
  const { pk } = newKey()
  const items: Item[] = Array.from({ length: 60 }, (_, n) => ({ pk, sk: `P#${n}`, n, raw: bytes(n) }))
  for (const table of tables) await table.put({ pk, sk: 'P#7', old: true })
  await alike((table) => table.putAll(items))
  expect(await alike((table) => table.list(pk, 'P#'))).toEqual([
    'done',
    expect.objectContaining({ length: 60 }),
  ])
  await alike((table) => table.putAll([]))
})

test('items are read alike in one batch, in the order of their keys', async () => {
  const keys = [newKey(), newKey(), newKey()]
  for (const table of tables)
    for (const key of keys.slice(1)) await table.put({ ...key, n: keys.indexOf(key) })
  const found = await alike((table) => table.getAll(keys.toReversed()))
  expect(found).toEqual([
    'done',
    [expect.objectContaining({ n: 2 }), expect.objectContaining({ n: 1 }), undefined],
  ])
})

test('a partition is listed alike, and due work is found alike', async () => {
  const { pk } = newKey()
  const items: Item[] = ['A#1', 'A#2', 'B#1', 'A#3'].map((sk, n) => ({
    pk,
    sk,
    ...dueAt('ASK', `0000000${n % 2}`, 1000 - n),
  }))
  for (const table of tables) for (const item of items) await table.put(item)
  for (const options of [
    {},
    { limit: 2 },
    { newestFirst: true },
    { after: { pk, sk: 'A#1' }, limit: 1 },
    { between: ['1', '2'] as const },
    { between: ['2', '9~'] as const, newestFirst: true },
    { between: ['1', '3'] as const, limit: 2, after: { pk, sk: 'A#1' } },
  ]) {
    await alike((table) => table.list(pk, 'A#', options))
  }
  for (const [atMs, limit] of [
    [1000, 100],
    [998, 100],
    [1000, 4],
  ] as const) {
    await alike((table) => table.due('ASK', atMs, limit))
  }
})
