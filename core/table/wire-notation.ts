/**
 * DynamoDB's JSON notation of values: `{"S": "text"}`, `{"N": "1"}` and so on, with bytes in base64. For the
 * values that the table holds, both conversions give the same results as `@aws-sdk/util-dynamodb`.
 */
export type Notation = Record<string, unknown>

type Plain = Record<string, unknown>

/**
 * Converts an item to notation. Undefined values are left out.
 * @throws Error for a value that DynamoDB does not accept, such as NaN, an empty set or a date.
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
  throw new Error(`DynamoDB cannot store a value of type ${typeof value}.`)
}

function setToNotation(values: unknown[]): Notation {
  const [first] = values
  if (typeof first === 'string') return { SS: values }
  if (typeof first === 'number') return { NS: (values as number[]).map(digits) }
  if (first instanceof Uint8Array) return { BS: (values as Uint8Array[]).map(base64) }
  throw new Error('A set must have at least one value, and only strings, numbers or bytes.')
}

/** @throws Error for a number that a reader of the table would not get back unchanged. */
function digits(value: number): string {
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return String(value)
  throw new Error(`DynamoDB cannot store the number ${value} exactly.`)
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')

/** Converts an item from notation. @throws Error for an unknown type of value. */
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

/** A bigint beyond 2^53, where a JavaScript number could differ from the stored number. */
function number(text: string): number | bigint {
  const value = Number(text)
  return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? value : BigInt(text)
}

/** Copies the bytes, because Node's small buffers share their memory. */
function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'))
}
