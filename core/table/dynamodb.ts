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
import { awsClient } from '../adapters/aws-clients.ts'
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
export function openTable(tableName: string): Table & Listing {
  // The table itself tries again, by one rule for both clients.
  const open = (keepsConnections: boolean) =>
    DynamoDBDocumentClient.from(awsClient(DynamoDBClient, 1, keepsConnections), {
      marshallOptions: { removeUndefinedValues: true },
    })
  const client = open(true)
  let single: DynamoDBDocumentClient | undefined
  return tableOver(tableName, async (operation, input, once = false) => {
    const command = new commands[operation](input as never)
    if (once) single ??= open(false)
    try {
      return (await (once && single ? single : client).send(command as never)) as TableAnswer
    } catch (error) {
      const { $fault, $metadata } = error as { $fault?: string; $metadata?: { httpStatusCode?: number } }
      throw Object.assign(withPlainItems(error) as Error, { status: $fault && $metadata?.httpStatusCode })
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
