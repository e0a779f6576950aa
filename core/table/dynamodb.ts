import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import {
  BatchGetCommand,
  BatchWriteCommand,
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
import { type Operation, type TableAnswer, type TableRefusal, tableOver } from './requests.ts'
import type { Listing, Table } from './table.ts'

const commands = {
  GetItem: GetCommand,
  Query: QueryCommand,
  PutItem: PutCommand,
  UpdateItem: UpdateCommand,
  DeleteItem: DeleteCommand,
  TransactWriteItems: TransactWriteCommand,
  BatchGetItem: BatchGetCommand,
  BatchWriteItem: BatchWriteCommand,
} satisfies Record<Operation, unknown>

/**
 * Opens the table with AWS's own client, which takes region, credentials and endpoint from the environment.
 */
export function openTable(tableName: string, base = new DynamoDBClient(clientLimits)): Table & Listing {
  const over = (client: DynamoDBClient) =>
    DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } })
  const client = over(base)
  let single: DynamoDBDocumentClient | undefined
  return tableOver(tableName, async (operation, input, once = false) => {
    const command = new commands[operation](input as never)
    // The SDK limits attempts per client, not per request, so `once` needs a client of its own.
    if (once) single ??= over(new DynamoDBClient({ ...clientLimits, maxAttempts: 1 }))
    try {
      return (await (once && single ? single : client).send(command as never)) as TableAnswer
    } catch (error) {
      const { $metadata } = error as { $metadata?: { attempts?: number } }
      // AWS's client does not say why it retried.
      throw Object.assign(withPlainItems(error) as Error, { inDoubt: ($metadata?.attempts ?? 1) > 1 })
    }
  })
}

/** Converts the items of an exception, which the document client leaves in DynamoDB's own notation. */
function withPlainItems(error: unknown): unknown {
  const { Item, CancellationReasons } = error as TableRefusal
  const plain = (item: unknown) => unmarshall(item as Parameters<typeof unmarshall>[0])
  if (Item) Object.assign(error as object, { Item: plain(Item) })
  for (const reason of CancellationReasons ?? []) if (reason.Item) reason.Item = plain(reason.Item)
  return error
}
