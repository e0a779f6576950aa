import { beforeEach, describe, expect, test } from 'vitest'
import { openTable } from '../../core/table/dynamodb.ts'
import { attr, expr } from '../../core/table/expression.ts'
import { DUE_SHARDS, dueAt, type Key } from '../../core/table/keys.ts'
import { tableOver } from '../../core/table/requests.ts'
import { ConditionFailed, ignoreRefusal, type Table } from '../../core/table/table.ts'
import { openWireTable } from '../../core/table/wire.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()
const { dynamo, tableName, env } = app.stack

/** Both clients, which must behave alike. */
const clients: [string, Table][] = [
  ['AWS’s client', openTable(tableName)],
  [
    'the lean client',
    openWireTable({
      tableName,
      region: env.AWS_REGION!,
      endpoint: env.AWS_ENDPOINT_URL_DYNAMODB!,
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    }),
  ],
]

const absent = expr`attribute_not_exists(pk)`

let keysMade = 0
const newKey = (): Key => ({ pk: `TEST#${++keysMade}`, sk: '#TEST' })

const unavailable = { name: 'DomainError', code: 'temporarily_unavailable' }

/** Requests that are made before a failure is reported. */
const TRIES = { lost: 2, throttled: 3 }

/** Awaits a refusal. @returns its `ConditionFailed`. */
const refusal = async (work: Promise<unknown>): Promise<ConditionFailed> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ConditionFailed)) throw new Error(`not refused: ${String(error)}`)
  return error
}

describe.each(clients)('%s', (_, table) => {
  beforeEach(() => {
    dynamo.clearFaults()
    dynamo.resetCounts()
  })

  describe('a write that must not be done twice', () => {
    test.each(['error-before', 'lose-reply-after-commit'] as const)(
      'is sent once, and its outcome stays unknown after the fault %s',
      async (fault) => {
        const key = newKey()
        await table.put({ ...key, n: 0 })
        dynamo.addFault({ fault, match: 'UpdateItem', times: 1 })
        const write = table.update(key, expr`ADD #n ${1}`, undefined, { once: true })
        await expect(write).rejects.toMatchObject(unavailable)
        expect(await table.get(key)).toEqual({ ...key, n: fault === 'lose-reply-after-commit' ? 1 : 0 })
        expect(dynamo.counts().calls.UpdateItem).toBe(1)
      },
    )
  })

  describe('items', () => {
    test('put, get, update and remove, each in one call', async () => {
      const key = newKey()
      await table.put({ ...key, n: 1, text: 'a', none: undefined })
      expect(await table.get(key)).toEqual({ ...key, n: 1, text: 'a' })
      expect(await table.update(key, expr`SET #n = #n + ${1}`)).toEqual({ ...key, n: 2, text: 'a' })
      await table.remove(key)
      expect(await table.get(key)).toBe(undefined)
      expect(dynamo.counts().calls).toEqual({ PutItem: 1, GetItem: 2, UpdateItem: 1, DeleteItem: 1 })
    })

    test('reserved words, dots, signs and letters of any script are valid attribute names', async () => {
      const key = newKey()
      const names = [' ', '#x', ':y', 'a.b', 'constructor', 'name', 'ünï']
      await table.put({ ...key, sessions: {} })
      for (const name of names) await table.update(key, expr`SET #sessions.${attr(name)} = ${1}`)
      const { sessions } = (await table.get(key)) ?? {}
      expect(Object.keys(sessions as object).sort()).toEqual(names)
    })

    test('list reads one partition by prefix, in order, from either end', async () => {
      const { pk } = newKey()
      const items = ['A#1', 'A#2', 'A#3', 'B#1'].map((sk) => ({ pk, sk }))
      await table.transact(items.map((item) => ({ put: item })))
      const sks = async (options?: Parameters<typeof table.list>[2]) =>
        (await table.list(pk, 'A#', options)).map(({ sk }) => sk)
      expect(await sks()).toEqual(['A#1', 'A#2', 'A#3'])
      expect(await sks({ newestFirst: true })).toEqual(['A#3', 'A#2', 'A#1'])
      expect(await sks({ limit: 2 })).toEqual(['A#1', 'A#2'])
      expect(await sks({ limit: 2, after: { pk, sk: 'A#2' } })).toEqual(['A#3'])
      expect(await sks({ between: ['2', '3'] })).toEqual(['A#2', 'A#3'])
    })

    test('nothing lies between two texts in the wrong order, and the table is not asked', async () => {
      const { pk } = newKey()
      await table.put({ pk, sk: 'A#2' })
      dynamo.resetCounts()
      expect(await table.list(pk, 'A#', { between: ['3', '1'] })).toEqual([])
      expect(dynamo.counts().calls).toEqual({})
    })
  })

  describe('conditions', () => {
    test('a refused put, update or remove returns the stored item and changes nothing', async () => {
      const key = newKey()
      const item = { ...key, n: 1 }
      await table.put(item)
      const refusals = [
        await refusal(table.put({ ...key, n: 2 }, absent)),
        await refusal(table.update(key, expr`SET #n = ${2}`, expr`#n > ${1}`)),
        await refusal(table.remove(key, expr`#n > ${1}`)),
      ]
      expect(refusals.map(({ failed }) => [...failed])).toEqual(Array(3).fill([[0, item]]))
      expect(await table.get(key)).toEqual(item)
    })

    test('a refused update of a missing item names the write without an item', async () => {
      const { failed } = await refusal(table.update(newKey(), expr`SET #n = ${2}`, expr`#n = ${1}`))
      expect([...failed]).toEqual([[0, undefined]])
    })

    test('a refused transaction names each failed write with its item, and writes nothing', async () => {
      const [present, other, missing, fresh] = [newKey(), newKey(), newKey(), newKey()]
      await table.transact([{ put: { ...present, n: 1 } }, { put: { ...other, n: 1 } }])
      const { failed } = await refusal(
        table.transact([
          { put: { ...fresh } },
          { put: { ...present, n: 2 }, if: absent },
          { update: missing, set: expr`SET #n = ${2}`, if: expr`attribute_exists(pk)` },
          { remove: other, if: expr`#n = ${2}` },
        ]),
      )
      expect([...failed]).toEqual([
        [1, { ...present, n: 1 }],
        [2, undefined],
        [3, { ...other, n: 1 }],
      ])
      expect(await table.get(fresh)).toBe(undefined)
    })

    test('a failed check returns its item too', async () => {
      const [checked, written] = [newKey(), newKey()]
      await table.put({ ...checked, n: 1 })
      const { failed } = await refusal(
        table.transact([{ check: checked, if: expr`#n = ${2}` }, { put: { ...written } }]),
      )
      expect([...failed]).toEqual([[0, { ...checked, n: 1 }]])
      expect(await table.get(written)).toBe(undefined)
    })

    test('a transaction succeeds if its check holds', async () => {
      const [checked, written] = [newKey(), newKey()]
      await table.put({ ...checked, n: 1 })
      await table.transact([{ check: checked, if: expr`#n = ${1}` }, { put: { ...written } }])
      expect(await table.get(written)).toEqual(written)
    })

    test('ignoreRefusal swallows a refusal and nothing else', async () => {
      await table.remove(newKey(), expr`attribute_exists(pk)`).catch(ignoreRefusal)
      dynamo.addFault({ fault: 'error-before', match: 'DeleteItem' })
      await expect(table.remove(newKey()).catch(ignoreRefusal)).rejects.toMatchObject(unavailable)
    })
  })

  describe('conflicts', () => {
    test.each([
      ['PutItem', (key: Key) => table.put({ ...key, n: 1 })],
      ['UpdateItem', (key: Key) => table.update(key, expr`SET #n = ${1}`)],
      ['TransactWriteItems', (key: Key) => table.transact([{ put: { ...key, n: 1 } }])],
      // With conditions: a retry that renders one anew sends names and values that nothing refers to.
      ['PutItem', (key: Key) => table.put({ ...key, n: 1 }, expr`attribute_not_exists(#n) OR #n < ${1}`)],
      [
        'UpdateItem',
        (key: Key) => table.update(key, expr`SET #n = ${1}`, expr`attribute_not_exists(#n) OR #n < ${1}`),
      ],
      [
        'TransactWriteItems',
        (key: Key) =>
          table.transact([{ put: { ...key, n: 1 }, if: expr`attribute_not_exists(#n) OR #n < ${1}` }]),
      ],
    ])('%s that lost to another transaction is retried as the same request', async (operation, write) => {
      const key = newKey()
      dynamo.addFault({ fault: 'conflict', match: operation, times: 3 })
      await write(key)
      expect(await table.get(key)).toEqual({ ...key, n: 1 })
      expect(dynamo.counts().calls[operation]).toBe(4)
    })

    test('a lasting conflict is temporarily_unavailable, and nothing is written', async () => {
      const key = newKey()
      dynamo.addFault({ fault: 'conflict' })
      await expect(table.transact([{ put: { ...key } }])).rejects.toMatchObject(unavailable)
      dynamo.clearFaults()
      expect(await table.get(key)).toBe(undefined)
    })

    test('twenty concurrent transactions on one item all succeed, each once', async () => {
      const key = newKey()
      await table.put({ ...key, n: 0 })
      await Promise.all(
        Array.from({ length: 20 }, () => table.transact([{ update: key, set: expr`SET #n = #n + ${1}` }])),
      )
      expect(await table.get(key)).toEqual({ ...key, n: 20 })
    })
  })

  describe('unknown outcomes', () => {
    test('a transaction whose reply was lost is not applied twice', async () => {
      const key = newKey()
      await table.put({ ...key, n: 0 })
      dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'TransactWriteItems', times: 1 })
      await table.transact([{ update: key, set: expr`SET #n = #n + ${1}` }])
      expect(dynamo.counts().calls.TransactWriteItems).toBe(2)
      expect(await table.get(key)).toEqual({ ...key, n: 1 })
    })

    test.each([
      ['the database answers 500', 'error-before', TRIES.lost, 0],
      ['every reply is lost', 'lose-reply-after-commit', TRIES.lost, 1],
      ['the table is over its throughput', 'throttle', TRIES.throttled, 0],
    ] as const)('temporarily_unavailable: %s', async (_, fault, times, n) => {
      const key = newKey()
      await table.put({ ...key, n: 0 })
      dynamo.addFault({ fault, times })
      const set = expr`SET #n = #n + ${1}`
      await expect(table.transact([{ update: key, set }])).rejects.toMatchObject(unavailable)
      expect(await table.get(key)).toEqual({ ...key, n })
    })

    test.each([
      ['get', () => table.get(newKey())],
      ['getAll', () => table.getAll([newKey()])],
      ['list', () => table.list(newKey().pk, '#')],
      ['put', () => table.put({ ...newKey() })],
      ['update', () => table.update(newKey(), expr`SET #n = ${1}`)],
      ['remove', () => table.remove(newKey())],
      ['transact', () => table.transact([{ put: { ...newKey() } }])],
      ['due', () => table.due('MAIL', Date.now(), 10)],
    ])(
      'temporarily_unavailable: %s while the database is away, with the cause for the log',
      async (_, call) => {
        dynamo.addFault({ fault: 'error-before' })
        await expect(call()).rejects.toMatchObject({
          ...unavailable,
          cause: expect.any(Error),
          detail: undefined,
        })
      },
    )
  })

  describe('throttling', () => {
    const key = newKey()
    const writes: [string, () => Promise<unknown>][] = [
      ['GetItem', () => table.get(key)],
      ['UpdateItem', () => table.update(key, expr`SET #n = ${1}`)],
      // Nothing was done, so even this may be sent again.
      ['UpdateItem', () => table.update(key, expr`SET #n = ${1}`, undefined, { once: true })],
      ['TransactWriteItems', () => table.transact([{ put: { ...key } }, { put: newKey() as never }])],
    ]

    test.each(writes)('%s is tried three times', async (operation, call) => {
      dynamo.addFault({ fault: 'throttle', match: operation, times: TRIES.throttled - 1 })
      await call()
      expect(dynamo.counts().calls[operation]).toBe(TRIES.throttled)
    })

    test.each(writes)(
      '%s that is throttled for longer says when to try again, and why',
      async (operation, call) => {
        dynamo.addFault({ fault: 'throttle', match: operation })
        await expect(call()).rejects.toMatchObject({
          ...unavailable,
          retryAfterSeconds: 1,
          detail: expect.stringContaining('about 1,000 a second'),
          cause: expect.any(Error),
        })
        expect(dynamo.counts().calls[operation]).toBe(TRIES.throttled)
      },
    )
  })

  describe('getAll', () => {
    test('reads any number of items in the order of their keys, a hundred with one request', async () => {
      const keys = Array.from({ length: 250 }, newKey)
      const stored = keys.filter((_, n) => n % 3 > 0)
      await table.putAll(
        stored.map((key, n) => ({ ...key, n, raw: new Uint8Array([n % 256]), set: new Set([n]) })),
      )
      dynamo.resetCounts()
      const items = await table.getAll(keys)
      expect(dynamo.counts().calls.BatchGetItem).toBe(3)
      const single = await Promise.all(keys.slice(0, 7).map((key) => table.get(key)))
      expect(items.slice(0, 7)).toEqual(single)
      expect(items.map((item) => item?.pk)).toEqual(keys.map(({ pk }, n) => (n % 3 > 0 ? pk : undefined)))
      expect(await table.getAll([])).toEqual([])
    })

    test('asks again for what DynamoDB has left out', async () => {
      const keys = [newKey(), newKey(), newKey()]
      const item = (key: Key) => ({ ...key, n: 1 })
      const asked: number[] = []
      const partial = tableOver(tableName, async (_, input) => {
        const { Keys } = (input.RequestItems as Record<string, { Keys: Key[] }>)[tableName]!
        asked.push(Keys.length)
        const [first, ...rest] = Keys
        return {
          Responses: { [tableName]: [item(first!)] },
          UnprocessedKeys: rest.length > 0 ? { [tableName]: { Keys: rest } } : {},
        }
      })
      expect(await partial.getAll(keys)).toEqual(keys.map(item))
      expect(asked).toEqual([3, 2, 1])
    })
  })

  describe('due', () => {
    const nowMs = Date.now()
    /** An account id of this shard; the ids differ from test to test. */
    const accountIn = (shard: number) =>
      `${(++keysMade).toString(16).padStart(20, '0')}${shard.toString(16).padStart(4, '0')}`

    /** Stores a due item. @returns its key. */
    async function put(kind: 'MAIL' | 'PENDING', shard: number, atMs: number): Promise<Key> {
      const key = newKey()
      await table.put({ ...key, ...dueAt(kind, accountIn(shard), atMs) })
      return key
    }

    const shards = Array.from({ length: DUE_SHARDS }, (_, shard) => shard)

    test('finds the due items of every shard, and none of another time or kind', async () => {
      const due = await Promise.all(shards.map((shard) => put('MAIL', shard, nowMs)))
      await Promise.all(shards.map((shard) => put('MAIL', shard, nowMs + 1)))
      await Promise.all(shards.map((shard) => put('PENDING', shard, nowMs)))
      const found = await table.due('MAIL', nowMs, 100)
      expect(found.sort((a, b) => a.pk.localeCompare(b.pk))).toEqual(
        due.sort((a, b) => a.pk.localeCompare(b.pk)),
      )
      await Promise.all(due.map((key) => table.remove(key)))
      expect(await table.due('MAIL', nowMs, 100)).toEqual([])
    })

    test('finds the oldest items first, and no more than the limit', async () => {
      const early = nowMs - 1_000_000
      for (const late of [3, 1, 2, 4, 0]) await put('MAIL', 1, early + late)
      const found = await table.due('MAIL', nowMs, 3 * DUE_SHARDS)
      const times = await Promise.all(found.map(async (key) => (await table.get(key))?.dueAtMs))
      expect(times).toEqual([early, early + 1, early + 2])
      expect(await table.due('MAIL', nowMs, 1)).toHaveLength(1)
      for (const key of await table.due('MAIL', nowMs, 100)) await table.remove(key)
    })

    test('does not find an item that is no longer due', async () => {
      const key = await put('MAIL', 2, nowMs)
      expect(await table.due('MAIL', nowMs, 100)).toEqual([key])
      await table.update(key, expr`REMOVE #due, #dueAtMs`)
      expect(await table.due('MAIL', nowMs, 100)).toEqual([])
    })

    test('an account always has the same shard, and accounts are spread over all of them', () => {
      const shardsOf = (ids: string[]) => new Set(ids.map((id) => dueAt('MAIL', id, nowMs).due))
      const id = '6548a41138406c14db33b606'
      expect(shardsOf([id, id]).size).toBe(1)
      expect(shardsOf(shards.map(accountIn)).size).toBe(DUE_SHARDS)
    })
  })
})

describe('waits', () => {
  const throttled = { name: 'ProvisionedThroughputExceededException', status: 400 }
  const cancelled = (Code: string) => ({
    name: 'TransactionCanceledException',
    status: 400,
    CancellationReasons: [{ Code: 'None' }, { Code }],
  })
  const lost = { name: 'Error' }

  /** The waits of a request that fails in this way, in ms, if each is a part of its range. */
  async function waitsAfter(failure: object, part: number): Promise<number[]> {
    const waited: number[] = []
    const pacing = { wait: async (ms: number) => void waited.push(ms), random: () => part }
    const table = tableOver(tableName, () => Promise.reject(Object.assign(new Error(), failure)), pacing)
    await expect(table.transact([{ put: newKey() as never }])).rejects.toMatchObject(unavailable)
    return waited
  }

  test.each([
    ['a throttled request', throttled],
    ['a transaction with a throttled item', cancelled('ThrottlingError')],
    ['a transaction of a table beyond its throughput', cancelled('ProvisionedThroughputExceeded')],
  ])('%s is tried again after 25 to 100 and 50 to 200 ms', async (_, failure) => {
    expect([await waitsAfter(failure, 0), await waitsAfter(failure, 1)]).toEqual([
      [25, 50],
      [100, 200],
    ])
  })

  test('a lost reply is waited for once, and a conflict at most 160 ms a time', async () => {
    expect(await waitsAfter(lost, 1)).toEqual([50])
    const conflicts = [20, 40, 80, 160, 160, 160, 160]
    expect(await waitsAfter(cancelled('TransactionConflict'), 1)).toEqual(conflicts)
    expect(await waitsAfter({ name: 'IdempotentParameterMismatchException', status: 400 }, 1)).toEqual([])
  })

  test('what DynamoDB leaves out of batches again and again is reported as throttled', async () => {
    const pacing = { wait: async () => {}, random: () => 0 }
    const item = newKey() as never
    const [reads, writes] = [{ Keys: [item] }, [{ PutRequest: { Item: item } }]]
    const send = async () => ({
      UnprocessedKeys: { [tableName]: reads },
      UnprocessedItems: { [tableName]: writes },
    })
    const table = tableOver(tableName, send, pacing)
    for (const work of [table.getAll([item]), table.putAll([item])])
      await expect(work).rejects.toMatchObject({ ...unavailable, retryAfterSeconds: 1 })
  })
})
