/**
 * DynamoDB's notation of values, as its JSON has it: `{"S": "text"}`, `{"N": "1"}` and so on, bytes in base64. Both
 * ways it does what `@aws-sdk/util-dynamodb` does, for the values that the table holds.
 */
export type Notation = Record<string, unknown>

type Plain = Record<string, unknown>

/**
 * An item in notation; undefined is left out.
 * @throws Error for a value that DynamoDB does not take, such as NaN, an empty set or a date.
 */
export function toNotation(item: Plain): Notation {
  const present = Object.entries(item).filter(([, value]) => value !== undefined)
  return Object.fromEntries(present.map(([name, value]) => [name, valueToNotation(value)]))
}

function valueToNotation(value: unknown): Notation {
  if (typeof value === 'string') return { S: value }
  if (typeof value === 'number') return { N: digits(value) }
  if (typeof value === 'bigint') return { N: String(value) }
  if (typeof value === 'boolean') return { BOOL: value }
  if (value === null) return { NULL: true }
  if (value instanceof Uint8Array) return { B: base64(value) }
  if (Array.isArray(value)) return { L: value.filter((part) => part !== undefined).map(valueToNotation) }
  if (value instanceof Set) return setToNotation([...value])
  const prototype = typeof value === 'object' ? Object.getPrototypeOf(value) : undefined
  if (prototype === Object.prototype || prototype === null) return { M: toNotation(value as Plain) }
  throw new Error(`DynamoDB holds no ${typeof value}.`)
}

function setToNotation(values: unknown[]): Notation {
  const [first] = values
  if (typeof first === 'string') return { SS: values }
  if (typeof first === 'number') return { NS: (values as number[]).map(digits) }
  if (first instanceof Uint8Array) return { BS: (values as Uint8Array[]).map(base64) }
  throw new Error('A set holds texts, numbers or bytes, and at least one.')
}

/** @throws Error for what a reader of the table would not get back as it was. */
function digits(value: number): string {
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return String(value)
  throw new Error(`${value} is no number that DynamoDB can keep for us.`)
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')

/** An item out of notation. @throws Error for what is none. */
export function fromNotation(item: Notation): Plain {
  return Object.fromEntries(
    Object.entries(item).map(([name, value]) => [name, valueFromNotation(value as Notation)]),
  )
}

function valueFromNotation(value: Notation): unknown {
  const [[type, held] = ['none', undefined]] = Object.entries(value)
  const readType = readers[type]
  if (!readType) throw new Error(`DynamoDB answered a value of type ${type}.`)
  return readType(held as never)
}

const readers: Record<string, (held: never) => unknown> = {
  S: (text: string) => text,
  N: number,
  BOOL: (value: boolean) => value,
  NULL: () => null,
  B: bytes,
  L: (values: Notation[]) => values.map(valueFromNotation),
  M: fromNotation,
  SS: (values: string[]) => new Set(values),
  NS: (values: string[]) => new Set(values.map(number)),
  BS: (values: string[]) => new Set(values.map(bytes)),
}

/** Beyond 2^53 a number would not be the one that was stored. */
function number(text: string): number | bigint {
  const value = Number(text)
  return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? value : BigInt(text)
}

/** A copy, for Node's small buffers share their memory. */
function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'))
}
