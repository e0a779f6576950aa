import { awsUrl, poster, type Reply } from '../adapters/aws-post.ts'
import { type AwsCredentials, requestSigner } from '../adapters/aws-sign.ts'
import { clientLimits } from '../adapters/client-limits.ts'
import { type Send, type TableAnswer, type TableRefusal, tableOver } from './requests.ts'
import type { Listing, Table } from './table.ts'
import { fromNotation, toNotation } from './wire-notation.ts'

/** Where the table is, and the credentials for it. */
export interface WireOptions {
  tableName: string
  region: string
  /** Replaces the address of DynamoDB in the region. */
  endpoint?: string | undefined
  credentials: AwsCredentials
}

/**
 * Opens the table with a minimal client of our own, which only sends signed requests over kept-alive
 * connections. The client starts in a tenth of the time of AWS's client and needs a third of the CPU per
 * request.
 */
export function openWireTable(options: WireOptions): Table & Listing {
  return tableOver(options.tableName, wire(options))
}

/** DynamoDB's JSON protocol (version 20120810, AWS JSON 1.0) as a `Send`. */
function wire({ region, endpoint, credentials }: WireOptions): Send {
  const url = new URL(endpoint ?? awsUrl('dynamodb', region))
  const post = poster(url, 'DynamoDB', clientLimits.requestHandler)
  const sign = requestSigner(region, credentials, 'dynamodb')
  return async (operation, input, once = false) => {
    const body = JSON.stringify(convert(input, toNotation))
    const headers = {
      host: url.host,
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': `DynamoDB_20120810.${operation}`,
    }
    return readReply(await post(sign({ headers, body }, Date.now()), body, once))
  }
}

/**
 * Parses a reply.
 * @throws Error with the name and the items of DynamoDB's exception; `BrokenReply` if there is none.
 */
function readReply({ status, text, isSecond: inDoubt }: Reply): TableAnswer {
  const json = parse(text)
  if (status === 200 && json) return convert(json, fromNotation) as TableAnswer
  const { __type, ...more } = json ?? {}
  const isKnown = typeof __type === 'string'
  const name = isKnown ? __type.slice(__type.indexOf('#') + 1) : 'BrokenReply'
  const { Item, CancellationReasons } = convert(more, fromNotation) as TableRefusal
  throw Object.assign(new Error(`DynamoDB answered ${status} ${name}`), {
    name,
    status: isKnown ? status : undefined,
    inDoubt,
    Item,
    CancellationReasons,
  })
}

/** JSON members that hold an item, a key or placeholder values, all in DynamoDB's notation. */
const HOLDERS = new Set([
  'Attributes',
  'ExclusiveStartKey',
  'ExpressionAttributeValues',
  'Item',
  'Key',
  'LastEvaluatedKey',
])

type Json = Record<string, unknown>

/** Converts the content of every holder, at any depth. */
function convert(value: unknown, convertItem: (item: Json) => Json): unknown {
  if (Array.isArray(value)) return value.map((part) => convert(part, convertItem))
  if (typeof value !== 'object' || value === null) return value
  const parts = Object.entries(value).map(([name, part]) => {
    if (name === 'Items' || name === 'Keys') return [name, (part as Json[]).map(convertItem)]
    if (name === 'Responses') return [name, convertLists(part as Record<string, Json[]>, convertItem)]
    return [name, HOLDERS.has(name) && part ? convertItem(part as Json) : convert(part, convertItem)]
  })
  return Object.fromEntries(parts)
}

/** The items of a BatchGetItem, by their table. */
const convertLists = (lists: Record<string, Json[]>, convertItem: (item: Json) => Json): Json =>
  Object.fromEntries(Object.entries(lists).map(([table, items]) => [table, items.map(convertItem)]))

/** The answer's JSON object, or undefined for anything else. */
function parse(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined
  } catch {
    return undefined
  }
}
