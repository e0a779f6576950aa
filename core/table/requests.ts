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
 * A DynamoDB client. Sends one request and retries it, within limits, after throttling; without `once` also
 * after a lost answer or a fault of the service. Keys, items and values are plain JavaScript in both
 * directions, and undefined values are left out. Rejects with an error that has the `name` of DynamoDB's
 * exception and, if the exception has them, its `Item` or `CancellationReasons`; `inDoubt` says that an earlier
 * try, whose reply was lost, may have taken effect.
 */
export type Send = (
  operation: Operation,
  input: Record<string, unknown>,
  once?: boolean,
) => Promise<TableAnswer>

/** The one table, reached through a client. */
export function tableOver(TableName: string, send: Send): Table & Listing {
  const request: Send = (operation, input, once) => sendWithRetries(send, operation, input, once)
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
          if (open.length > 0 && tries === CONFLICT_TRIES) throw new DomainError('temporarily_unavailable')
          if (open.length > 0) await jitter(tries)
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
    ...readsOf(TableName, request),
  }
}

/** The reads of more than one item, of the table and of its indexes. */
function readsOf(
  TableName: string,
  request: Send,
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
      if (open.length > 0 && tries === CONFLICT_TRIES) throw new DomainError('temporarily_unavailable')
      if (open.length > 0) await jitter(tries)
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

/** A hot item loses to transactions again and again, so that a few more tries cost less than a 503. */
const CONFLICT_TRIES = 8

/** Most items that DynamoDB accepts in one BatchWriteItem, and most keys in one BatchGetItem. */
const BATCH_ITEMS = 25
const BATCH_KEYS = 100

/**
 * Sends a request, and the very same request again after it lost to a concurrent transaction. The request is data
 * that is made once, so two tries cannot differ.
 * @throws ConditionFailed, or `temporarily_unavailable` for everything that a later try may mend
 */
async function sendWithRetries(send: Send, ...request: Parameters<Send>): Promise<TableAnswer> {
  for (let tries = 1; ; tries++) {
    try {
      return await send(...request)
    } catch (error) {
      const refused = conditionFailed(error)
      if (refused) throw refused
      if (isOurMistake(error)) throw error
      if (tries === CONFLICT_TRIES || !isConflict(error)) {
        throw new DomainError('temporarily_unavailable', { cause: error })
      }
      await jitter(tries)
    }
  }
}

/** Waits for a random time, so that requests that collided do not collide again. */
const jitter = (tries: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * 2 ** Math.min(tries, 4)))

/** The members of a DynamoDB exception that the table reads. */
export interface TableRefusal {
  name?: string
  Item?: Item
  CancellationReasons?: { Code?: string; Item?: Item }[]
  inDoubt?: boolean
}

function conditionFailed(error: unknown): ConditionFailed | undefined {
  const { name, Item, CancellationReasons, inDoubt } = error as TableRefusal
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
const isOurMistake = (error: unknown): boolean =>
  /^(Validation|AccessDenied|ResourceNotFound|UnrecognizedClient)Exception$/.test(
    (error as TableRefusal).name ?? '',
  )

function isConflict(error: unknown): boolean {
  const { name, CancellationReasons } = error as TableRefusal
  if (name === 'TransactionConflictException' || name === 'TransactionInProgressException') return true
  return (CancellationReasons ?? []).some(({ Code }) => Code === 'TransactionConflict')
}
