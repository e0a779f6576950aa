import { randomUUID } from 'node:crypto'
import { DomainError } from '../errors.ts'
import { DUE_INDEX, LISTED_INDEX } from './definition.ts'
import { type Expression, expr, join, type Placeholders, render } from './expression.ts'
import { dueShards, type Key } from './keys.ts'
import {
  ConditionFailed,
  type Item,
  type ListedEntry,
  type Listing,
  type Table,
  type Write,
} from './table.ts'

/** The DynamoDB operations that the table uses. */
export type Operation =
  | 'GetItem'
  | 'Query'
  | 'PutItem'
  | 'UpdateItem'
  | 'DeleteItem'
  | 'TransactWriteItems'
  | 'BatchGetItem'
  | 'BatchWriteItem'

/** The members of DynamoDB's answers that the table reads. */
export interface TableAnswer {
  Item?: Item
  Items?: Item[]
  Attributes?: Item
  LastEvaluatedKey?: Item
  Responses?: Record<string, Item[]>
  UnprocessedKeys?: Record<string, { Keys?: Key[] }>
  UnprocessedItems?: Record<string, unknown[]>
}

/**
 * A DynamoDB client. Sends one request; with `once` not over a connection that an earlier request has left, which
 * DynamoDB may have forgotten. Keys, items and values are plain JavaScript in both directions, and undefined values are
 * left out. Rejects with a `TableRefusal`.
 */
export type Send = (
  operation: Operation,
  input: Record<string, unknown>,
  once?: boolean,
) => Promise<TableAnswer>

/** How the table waits before it tries again. */
export interface Pacing {
  wait(ms: number): Promise<void>
  /** From 0 to 1. */
  random(): number
}

const realPacing: Pacing = {
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  random: Math.random,
}

/** The one table, reached through a client. */
export function tableOver(TableName: string, send: Send, pacing = realPacing): Table & Listing {
  const request = withRetries(send, pacing)
  /** @throws DomainError `temporarily_unavailable` instead of the wait after the last try of a batch. */
  const pauseForRest = async (tries: number) => {
    if (tries === TRIES.conflict) throw overloaded()
    await pause(pacing, 'conflict', tries)
  }
  return {
    async get(key) {
      const { Item } = await request('GetItem', { TableName, Key: keyOnly(key), ConsistentRead: true })
      return Item
    },
    async put(item, condition) {
      await request('PutItem', { TableName, Item: item, ...guarded(condition) })
    },
    async putAll(items) {
      for (let at = 0; at < items.length; at += BATCH_ITEMS) {
        let open: unknown[] = items.slice(at, at + BATCH_ITEMS).map((Item) => ({ PutRequest: { Item } }))
        for (let tries = 1; open.length > 0; tries++) {
          const { UnprocessedItems } = await request('BatchWriteItem', {
            RequestItems: { [TableName]: open },
          })
          open = UnprocessedItems?.[TableName] ?? []
          if (open.length > 0) await pauseForRest(tries)
        }
      }
    },
    async update(key, set, condition, { once = false } = {}) {
      const names: Placeholders = {}
      const UpdateExpression = render(set, names)
      const { Attributes } = await request(
        'UpdateItem',
        {
          TableName,
          Key: keyOnly(key),
          UpdateExpression,
          ReturnValues: 'ALL_NEW',
          ...guarded(condition, names),
        },
        once,
      )
      return Attributes ?? {}
    },
    async remove(key, condition) {
      await request('DeleteItem', { TableName, Key: keyOnly(key), ...guarded(condition) })
    },
    async transact(writes) {
      const TransactItems = writes.map((write) => transactItem(TableName, write))
      // After a lost reply, the token makes a retry of ours or of the client the same transaction.
      await request('TransactWriteItems', { TransactItems, ClientRequestToken: randomUUID() })
    },
    ...readsOf(TableName, request, pauseForRest),
  }
}

/** The reads of more than one item, of the table and of its indexes. */
function readsOf(
  TableName: string,
  request: Send,
  pauseForRest: (tries: number) => Promise<void>,
): Pick<Table, 'getAll' | 'list' | 'page' | 'due'> & Listing {
  /** Reads up to `BATCH_KEYS` items, in any order. */
  async function batch(keys: readonly Key[]): Promise<Item[]> {
    const items: Item[] = []
    let open = keys.map(keyOnly)
    for (let tries = 1; open.length > 0; tries++) {
      const { Responses, UnprocessedKeys } = await request('BatchGetItem', {
        RequestItems: { [TableName]: { Keys: open, ConsistentRead: true } },
      })
      items.push(...(Responses?.[TableName] ?? []))
      open = UnprocessedKeys?.[TableName]?.Keys ?? []
      if (open.length > 0) await pauseForRest(tries)
    }
    return items
  }
  const page: Table['page'] = async (pk, prefix, { limit, newestFirst, after, between } = {}) => {
    if (between && isEmpty(between)) return { items: [], isLast: true }
    const names: Placeholders = {}
    const which = between
      ? expr`#sk BETWEEN ${prefix + between[0]} AND ${prefix + between[1]}`
      : expr`begins_with(#sk, ${prefix})`
    const { Items, LastEvaluatedKey } = await request('Query', {
      TableName,
      KeyConditionExpression: render(join([expr`#pk = ${pk}`, which], ' AND '), names),
      ConsistentRead: true,
      ScanIndexForward: !newestFirst,
      Limit: limit,
      ExclusiveStartKey: after,
      ...names,
    })
    return { items: Items ?? [], isLast: LastEvaluatedKey === undefined }
  }
  return {
    async getAll(keys) {
      const batches = Array.from({ length: Math.ceil(keys.length / BATCH_KEYS) }, (_, at) =>
        batch(keys.slice(at * BATCH_KEYS, (at + 1) * BATCH_KEYS)),
      )
      const items = (await Promise.all(batches)).flat()
      const found = new Map(items.map((item) => [`${item.pk}\n${item.sk}`, item]))
      return keys.map(({ pk, sk }) => found.get(`${pk}\n${sk}`))
    },
    page,
    list: async (pk, prefix, options) => (await page(pk, prefix, options)).items,
    async due(kind, nowMs, limit) {
      const pages = await Promise.all(
        dueShards(kind).map((shard) => {
          const names: Placeholders = {}
          const KeyConditionExpression = render(expr`#due = ${shard} AND #dueAtMs <= ${nowMs}`, names)
          return request('Query', {
            TableName,
            IndexName: DUE_INDEX,
            KeyConditionExpression,
            Limit: Math.ceil(limit / dueShards(kind).length),
            ...names,
          })
        }),
      )
      return pages.flatMap((page) => (page.Items ?? []).map(({ pk, sk }) => ({ pk, sk }) as Key))
    },
    async listed(list, [from, to], limit) {
      if (isEmpty([from, to])) return []
      const names: Placeholders = {}
      const KeyConditionExpression = render(expr`#status = ${list} AND #id BETWEEN ${from} AND ${to}`, names)
      const { Items } = await request('Query', {
        TableName,
        IndexName: LISTED_INDEX,
        KeyConditionExpression,
        ScanIndexForward: false,
        Limit: limit,
        ...names,
      })
      return (Items ?? []).map(({ pk, sk, id }) => ({ pk, sk, id }) as ListedEntry)
    },
  }
}

/** Whether nothing can lie between two texts. DynamoDB refuses to look there, and ranges come from requests. */
const isEmpty = ([from, to]: readonly [string, string]): boolean => from > to

/** The key alone, because callers may pass a whole item. */
const keyOnly = ({ pk, sk }: Key): Key => ({ pk, sk })

function guarded(condition: Expression | undefined, names: Placeholders = {}) {
  return condition ? checked(condition, names) : names
}

function checked(condition: Expression, names: Placeholders = {}) {
  const ConditionExpression = render(condition, names)
  return { ConditionExpression, ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const, ...names }
}

function transactItem(TableName: string, write: Write) {
  if ('put' in write) return { Put: { TableName, Item: write.put, ...guarded(write.if) } }
  if ('remove' in write) return { Delete: { TableName, Key: keyOnly(write.remove), ...guarded(write.if) } }
  if ('check' in write)
    return { ConditionCheck: { TableName, Key: keyOnly(write.check), ...checked(write.if) } }
  const names: Placeholders = {}
  const UpdateExpression = render(write.set, names)
  return { Update: { TableName, Key: keyOnly(write.update), UpdateExpression, ...guarded(write.if, names) } }
}

/** Most items that DynamoDB accepts in one BatchWriteItem, and most keys in one BatchGetItem. */
const BATCH_ITEMS = 25
const BATCH_KEYS = 100

/** Why a request that failed may be sent again. */
type RetryReason = 'conflict' | 'throttled' | 'lost'

/**
 * Most tries in all, by what went wrong. A hot item loses to transactions again and again, so that a few more tries cost
 * less than a 503.
 */
const TRIES: Readonly<Record<RetryReason, number>> = { conflict: 8, throttled: 3, lost: 2 }

/** The shortest and the longest wait after so many tries, ms. */
const WAITS_MS: Readonly<Record<RetryReason, (tries: number) => readonly [number, number]>> = {
  conflict: (tries) => [0, 10 * 2 ** Math.min(tries, 4)],
  throttled: (tries) => [25 * tries, 100 * tries],
  lost: () => [0, 50],
}

/** Waits for a random time, so that requests that collided do not collide again. */
function pause({ wait, random }: Pacing, why: RetryReason, tries: number): Promise<void> {
  const [fromMs, toMs] = WAITS_MS[why](tries)
  return wait(fromMs + random() * (toMs - fromMs))
}

/**
 * Sends a request, and the very same request again after a failure that a later try may mend. The request is data that
 * is made once, so two tries cannot differ. With `once` it is not repeated if it may have taken effect.
 * @throws ConditionFailed, or `temporarily_unavailable` for everything that a later try may mend
 */
const withRetries =
  (send: Send, pacing: Pacing): Send =>
  async (operation, input, once = false) => {
    const tries: Record<RetryReason, number> = { conflict: 0, throttled: 0, lost: 0 }
    let inDoubt = false
    for (;;) {
      try {
        return await send(operation, input, once)
      } catch (error) {
        const refusal = error as TableRefusal
        inDoubt ||= refusal.inDoubt === true
        const refused = conditionFailed(refusal, inDoubt)
        if (refused) throw refused
        if (isOurMistake(refusal)) throw error
        const why = retryReasonOf(refusal)
        inDoubt ||= why === 'lost'
        if (!why || ++tries[why] === TRIES[why] || (once && why === 'lost'))
          throw why === 'throttled'
            ? overloaded(error)
            : new DomainError('temporarily_unavailable', { cause: error })
        await pause(pacing, why, tries[why])
      }
    }
  }

/** The error for a request that DynamoDB has refused because there are too many: one item takes 1,000 writes a second. */
const overloaded = (cause?: unknown): DomainError =>
  new DomainError('temporarily_unavailable', {
    detail:
      'Too many requests came at once: an account takes about 1,000 a second. Try again after the time in Retry-After, and send batches.',
    retryAfterSeconds: 1,
    cause,
  })

/** What the table reads of a failure: members of DynamoDB's exception, and what its client knows. */
export interface TableRefusal {
  name?: string
  /** HTTP status of DynamoDB's exception; undefined if there was no answer, or none that could be read. */
  status?: number | undefined
  Item?: Item
  CancellationReasons?: { Code?: string; Item?: Item }[]
  /** Whether the client has sent the request twice, so that the first may have taken effect. */
  inDoubt?: boolean | undefined
}

function conditionFailed(
  { name, Item, CancellationReasons }: TableRefusal,
  inDoubt: boolean,
): ConditionFailed | undefined {
  if (name === 'ConditionalCheckFailedException') return new ConditionFailed(new Map([[0, Item]]), inDoubt)
  const failed = (CancellationReasons ?? []).flatMap(({ Code, Item }, at) =>
    Code === 'ConditionalCheckFailed' ? [[at, Item] as const] : [],
  )
  return failed.length > 0 ? new ConditionFailed(new Map(failed)) : undefined
}

/**
 * Whether the request failed for good without effect, since it is malformed or a permission or the table is
 * missing.
 */
const isOurMistake = ({ name = '' }: TableRefusal): boolean =>
  /^(Validation|AccessDenied|ResourceNotFound|UnrecognizedClient)Exception$/.test(name)

/** DynamoDB's names of exceptions, and codes of reasons to cancel a transaction. */
const THROTTLED =
  /^(LimitExceeded|ProvisionedThroughputExceeded|RequestLimitExceeded|Throttling)(Exception|Error)?$/
const CONFLICT = /^Transaction(Conflict|InProgress)(Exception)?$/

/** Undefined for a failure that a later try would not mend. */
function retryReasonOf({
  name = '',
  status,
  CancellationReasons = [],
}: TableRefusal): RetryReason | undefined {
  const codes = [name, ...CancellationReasons.map(({ Code = '' }) => Code)]
  if (codes.some((code) => THROTTLED.test(code))) return 'throttled'
  if (codes.some((code) => CONFLICT.test(code))) return 'conflict'
  return status === undefined || status >= 500 ? 'lost' : undefined
}
