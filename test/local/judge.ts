import { createRequire, Module } from 'node:module'

/*
 * An independent judge of requests to DynamoDB: the validations of dynalite, which were written against AWS's own and
 * know the grammar of expressions, reserved words, types of operands, and sizes. The local database takes some
 * requests that DynamoDB refuses.
 *
 * dynalite has no transactions, so each write of one is judged as the operation that it corresponds to.
 */

type Json = Record<string, unknown>

interface Validation {
  types: Json
  custom?: (data: Json, store: unknown) => string | undefined
}

interface Validations {
  checkTypes(data: Json, types: Json): Json
  checkValidations(data: Json, types: Json, custom: Validation['custom'], store: unknown): void
  validateAttributeValue(value: unknown): string | undefined
}

const require = createRequire(import.meta.url)

/** Loads a file of dynalite without its database, part of which is native. */
function load<T>(file: string): T {
  const ofDynalite = createRequire(require.resolve('dynalite'))
  for (const name of ['level', 'memory-level']) {
    const path = ofDynalite.resolve(name)
    require.cache[path] ??= Object.assign(new Module(path), { loaded: true })
  }
  return require(`dynalite/${file}`) as T
}

const { checkTypes, checkValidations, validateAttributeValue } = load<Validations>('validations')
const { itemSize } = load<{ itemSize(item: unknown): number }>('db')

/** The rules of each operation that Bursar uses. */
const rules = new Map<string, Validation>(
  ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem', 'BatchGetItem', 'BatchWriteItem'].map(
    (name) => [name, load<Validation>(`validations/${name[0]?.toLowerCase()}${name.slice(1)}`)],
  ),
)

/** The writes of a transaction, each with the operation that has the same grammar. */
const WRITES: Readonly<Record<string, string>> = {
  Put: 'PutItem',
  Update: 'UpdateItem',
  Delete: 'DeleteItem',
  ConditionCheck: 'DeleteItem',
}

const MOST_WRITES = 100
const MOST_ITEM_BYTES = 400 * 1024
const MOST_EXPRESSION_BYTES = 4096
/** https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html */
const MOST_OPERATORS = 300
const OPERATOR =
  /<>|[<>]=?|=|\+|-|\b(?:AND|OR|NOT|BETWEEN|IN)\b|\b(?:attribute_\w+|begins_with|contains|size|if_not_exists|list_append)\b/g

const STORE = { options: { maxItemSize: MOST_ITEM_BYTES } }

/** What is wrong with the expressions of a request, by everything of it that matters to them. */
const judged = new Map<string, string | undefined>()
const MOST_JUDGED = 20_000

/**
 * What DynamoDB refuses in a request, as far as that is known without the stored items.
 * @returns dynalite's sentence, which is DynamoDB's; undefined if nothing is wrong
 */
export function mistakeOf(operation: string, input: Json): string | undefined {
  if (operation === 'TransactWriteItems') return mistakeOfTransaction(input.TransactItems)
  const rule = rules.get(operation)
  if (!rule) return undefined
  return mistakeOfValues(input) ?? mistakeOfExpressions(operation, rule, input)
}

function mistakeOfTransaction(items: unknown): string | undefined {
  if (!Array.isArray(items) || items.length === 0 || items.length > MOST_WRITES)
    return `TransactItems must have 1 to ${MOST_WRITES} members`
  for (const item of items as Json[]) {
    const [[kind = '', write] = [], ...others] = Object.entries(item)
    const operation = WRITES[kind]
    if (!operation || others.length > 0)
      return 'TransactItems can only contain one of Check, Put, Update or Delete'
    if (kind === 'ConditionCheck' && !(write as Json).ConditionExpression)
      return 'A check needs a ConditionExpression'
    const mistake = mistakeOf(operation, write as Json)
    if (mistake !== undefined) return mistake
  }
  return undefined
}

/** Judges what differs from one request to the next with the same expressions. */
function mistakeOfValues({ Item, Key, ExpressionAttributeValues }: Json): string | undefined {
  for (const values of [Item, Key, ExpressionAttributeValues])
    for (const value of Object.values((values ?? {}) as Json)) {
      const mistake = validateAttributeValue(value)
      if (mistake) return mistake
    }
  if (Item && itemSize(Item) > MOST_ITEM_BYTES) return 'Item size has exceeded the maximum allowed size'
  return undefined
}

/** Judges a request as a whole, once for all that have the same expressions and types of values. */
function mistakeOfExpressions(operation: string, rule: Validation, input: Json): string | undefined {
  const { Item: _, Key: __, ExpressionAttributeValues, ...rest } = input
  const types = Object.entries((ExpressionAttributeValues ?? {}) as Record<string, object>).map(
    ([name, value]) => [name, Object.keys(value)],
  )
  // Whether a range is empty, and how large a batch is, depends on the values.
  const shape = JSON.stringify([operation, rest, ExpressionAttributeValues && types])
  if (isJudgedByShape(input) && judged.has(shape)) return judged.get(shape)
  const mistake = mistakeOfWhole(rule, input) ?? mistakeOfLimits(input)
  if (judged.size === MOST_JUDGED) judged.clear()
  judged.set(shape, mistake)
  return mistake
}

const isJudgedByShape = ({ RequestItems, KeyConditionExpression = '' }: Json): boolean =>
  RequestItems === undefined && !String(KeyConditionExpression).includes('BETWEEN')

function mistakeOfWhole({ types, custom }: Validation, input: Json): string | undefined {
  try {
    checkValidations(checkTypes({ ...input }, types), types, custom, STORE)
    return undefined
  } catch (error) {
    const { body, message } = error as { body?: { message?: string; Message?: string }; message: string }
    return body?.message ?? body?.Message ?? message
  }
}

/** Limits of expressions that dynalite does not know. */
function mistakeOfLimits(input: Json): string | undefined {
  for (const [name, text] of Object.entries(input)) {
    if (!name.endsWith('Expression')) continue
    const expression = String(text)
    if (Buffer.byteLength(expression) > MOST_EXPRESSION_BYTES)
      return `Invalid ${name}: Expression size has exceeded the maximum allowed size;`
    if ((expression.match(OPERATOR)?.length ?? 0) > MOST_OPERATORS)
      return `Invalid ${name}: The expression contains invalid number of operators and functions`
  }
  return undefined
}
