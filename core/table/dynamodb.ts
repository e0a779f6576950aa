import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import {
  DeleteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  TransactWriteCommand,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb'
import { unmarshall } from '@aws-sdk/util-dynamodb'
import { clientLimits } from '../adapters/client-limits.ts'
import { DomainError } from '../errors.ts'
import { DUE_INDEX } from './definition.ts'
import { type Expression, expr, type Placeholders, render } from './expression.ts'
import { dueShards, type Key } from './keys.ts'
import { ConditionFailed, type Item, type Table, type Write } from './table.ts'

/** Opens the table; the client takes region, credentials and endpoint as the SDK does. */
export function openTable(tableName: string, base = new DynamoDBClient(clientLimits)): Table {
  const client = DynamoDBDocumentClient.from(base, { marshallOptions: { removeUndefinedValues: true } })
  const TableName = tableName

  return {
    async get(key) {
      const { Item } = await attempt(() =>
        client.send(new GetCommand({ TableName, Key: keyOf(key), ConsistentRead: true })),
      )
      return Item
    },
    async list(pk, prefix, { limit, newestFirst, after } = {}) {
      const names: Placeholders = {}
      const KeyConditionExpression = render(expr`#pk = ${pk} AND begins_with(#sk, ${prefix})`, names)
      const { Items } = await attempt(() =>
        client.send(
          new QueryCommand({
            TableName,
            KeyConditionExpression,
            ConsistentRead: true,
            ScanIndexForward: !newestFirst,
            Limit: limit,
            ExclusiveStartKey: after,
            ...names,
          }),
        ),
      )
      return Items ?? []
    },
    async put(item, condition) {
      await attempt(() => client.send(new PutCommand({ TableName, Item: item, ...guarded(condition) })))
    },
    async update(key, set, condition) {
      const names: Placeholders = {}
      const UpdateExpression = render(set, names)
      const { Attributes } = await attempt(() =>
        client.send(
          new UpdateCommand({
            TableName,
            Key: keyOf(key),
            UpdateExpression,
            ReturnValues: 'ALL_NEW',
            ...guarded(condition, names),
          }),
        ),
      )
      return Attributes ?? {}
    },
    async remove(key, condition) {
      await attempt(() =>
        client.send(new DeleteCommand({ TableName, Key: keyOf(key), ...guarded(condition) })),
      )
    },
    async transact(writes) {
      // The SDK gives it a token: its retry of a transaction whose reply was lost is the same transaction.
      const TransactItems = writes.map((write) => transactItem(TableName, write))
      await attempt(() => client.send(new TransactWriteCommand({ TransactItems })))
    },
    async due(kind, nowMs, limit) {
      const pages = await Promise.all(
        dueShards(kind).map((shard) => {
          const names: Placeholders = {}
          const KeyConditionExpression = render(expr`#due = ${shard} AND #dueAtMs <= ${nowMs}`, names)
          return attempt(() =>
            client.send(
              new QueryCommand({
                TableName,
                IndexName: DUE_INDEX,
                KeyConditionExpression,
                Limit: Math.ceil(limit / dueShards(kind).length),
                ...names,
              }),
            ),
          )
        }),
      )
      return pages.flatMap((page) => (page.Items ?? []).map(({ pk, sk }) => ({ pk, sk })))
    },
  }
}

/** Only the key of what may be a whole item. */
const keyOf = ({ pk, sk }: Key): Key => ({ pk, sk })

function guarded(condition: Expression | undefined, names: Placeholders = {}) {
  return condition ? checked(condition, names) : names
}

function checked(condition: Expression, names: Placeholders = {}) {
  const ConditionExpression = render(condition, names)
  return { ConditionExpression, ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const, ...names }
}

function transactItem(TableName: string, write: Write) {
  if ('put' in write) return { Put: { TableName, Item: write.put, ...guarded(write.if) } }
  if ('remove' in write) return { Delete: { TableName, Key: keyOf(write.remove), ...guarded(write.if) } }
  if ('check' in write)
    return { ConditionCheck: { TableName, Key: keyOf(write.check), ...checked(write.if) } }
  const names: Placeholders = {}
  const UpdateExpression = render(write.set, names)
  return { Update: { TableName, Key: keyOf(write.update), UpdateExpression, ...guarded(write.if, names) } }
}

const CONFLICT_TRIES = 6

/** Sends, retrying what lost to a concurrent transaction, and turns the SDK's errors into ours. */
async function attempt<T>(send: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await send()
    } catch (error) {
      const refused = conditionFailed(error)
      if (refused) throw refused
      if (isOurMistake(error)) throw error
      if (tries === CONFLICT_TRIES || !isConflict(error)) {
        throw new DomainError('temporarily_unavailable', { cause: error })
      }
      // Jitter, so that those who collided once do not collide again in step.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * 2 ** tries))
    }
  }
}

/** What an exception carries; the document client leaves its items in DynamoDB's own notation. */
interface AwsError {
  name?: string
  Item?: StoredItem
  CancellationReasons?: { Code?: string; Item?: StoredItem }[]
}
type StoredItem = Parameters<typeof unmarshall>[0]

function conditionFailed(error: unknown): ConditionFailed | undefined {
  const { name, Item, CancellationReasons } = error as AwsError
  if (name === 'ConditionalCheckFailedException') return new ConditionFailed(new Map([[0, read(Item)]]))
  const failed = (CancellationReasons ?? []).flatMap(({ Code, Item }, at) =>
    Code === 'ConditionalCheckFailed' ? [[at, read(Item)] as const] : [],
  )
  return failed.length > 0 ? new ConditionFailed(new Map(failed)) : undefined
}

/** Refused for good and certainly not done: a malformed request, a permission or a table that is missing. */
const isOurMistake = (error: unknown): boolean =>
  /^(Validation|AccessDenied|ResourceNotFound|UnrecognizedClient)Exception$/.test(
    (error as AwsError).name ?? '',
  )

const read = (item: StoredItem | undefined): Item | undefined => item && unmarshall(item)

function isConflict(error: unknown): boolean {
  const { name, CancellationReasons } = error as AwsError
  if (name === 'TransactionConflictException' || name === 'TransactionInProgressException') return true
  return (CancellationReasons ?? []).some(({ Code }) => Code === 'TransactionConflict')
}
