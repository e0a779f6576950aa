import { readFileSync } from 'node:fs'
import { malformed } from './errors.ts'
import type { Form } from './form.ts'
import type { Schema, SchemaFile } from './generate.ts'
import type { Answers, Requests, RouteKey } from './wire.ts'

/** Checks answers and reads requests with the schemas that were made from stripe-node's declarations. */

const schemas = JSON.parse(readFileSync(new URL('schema.json', import.meta.url), 'utf8')) as SchemaFile

const resolve = (schema: Schema): Schema =>
  schema.$ref === undefined ? schema : schemas.$defs[schema.$ref.slice('#/$defs/'.length)]!

/** The alternatives of a schema, with references resolved. */
const alternatives = (schema: Schema): Schema[] => {
  const resolved = resolve(schema)
  return resolved.anyOf ? resolved.anyOf.flatMap(alternatives) : [resolved]
}

/** The faults of an answer of that kind, a sentence each; empty if there are none. */
export function faultsOf(kind: keyof Answers, answer: unknown): string[] {
  const schema = schemas.answers[kind]!
  return fitOf(schema)(answer) ? [] : faults(schema, answer, kind)
}

type Fit = (value: unknown) => boolean

const fits = new WeakMap<Schema, Fit>()

/**
 * A fast check for a schema, compiled once: every answer and event is checked, and almost all have no faults.
 */
function fitOf(schema: Schema): Fit {
  const made = fits.get(schema)
  if (made) return made
  // A schema may contain itself. While its parts are compiled, they refer to this placeholder.
  let fitsOptions: Fit = () => false
  fits.set(schema, (value) => fitsOptions(value))
  const options = alternatives(schema).map(fitOfOne)
  fitsOptions = options.length === 1 ? options[0]! : (value) => options.some((option) => option(value))
  return fitsOptions
}

function fitOfOne(schema: Schema): Fit {
  const { type } = schema
  if (schema.enum) {
    const allowed = new Set<unknown>(schema.enum)
    return (value) => allowed.has(value)
  }
  if (type === undefined) return () => true
  if (type === 'array') {
    const item = fitOf(schema.items!)
    return (value) => Array.isArray(value) && value.every(item)
  }
  return type === 'object' ? fitOfObject(schema) : (value) => typeOf(value) === type
}

function fitOfObject({ properties = {}, required = [], additionalProperties }: Schema): Fit {
  const known = new Map(Object.entries(properties).map(([name, schema]) => [name, fitOf(schema)]))
  const other: Fit = additionalProperties ? fitOf(additionalProperties) : () => additionalProperties !== false
  return (value) =>
    typeOf(value) === 'object' &&
    required.every((name) => (value as Record<string, unknown>)[name] !== undefined) &&
    Object.entries(value as object).every(
      ([name, member]) => member === undefined || (known.get(name) ?? other)(member),
    )
}

function faults(schema: Schema, value: unknown, path: string): string[] {
  const options = alternatives(schema)
  if (options.length === 1) return faultsOfOne(options[0]!, value, path)
  const tried = options.map((option) => faultsOfOne(option, value, path))
  if (tried.some((found) => found.length === 0)) return []
  // The alternative with the fewest faults is probably the intended one.
  const objects = tried.filter((_, n) => options[n]!.type === typeOf(value) && options[n]!.properties)
  return objects.sort((a, b) => a.length - b.length)[0] ?? [`${path} is ${JSON.stringify(value)}`]
}

/** The JSON type of a value. NaN and the infinities count as null, as in JSON. */
function typeOf(value: unknown): string {
  if (value === null || (typeof value === 'number' && !Number.isFinite(value))) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

function faultsOfOne(schema: Schema, value: unknown, path: string): string[] {
  if (schema.enum) {
    return schema.enum.includes(value as string) ? [] : [`${path} is ${JSON.stringify(value)}`]
  }
  // An empty schema allows any value.
  if (schema.type === undefined) return []
  if (schema.type !== typeOf(value))
    return [`${path} is not of type ${schema.type}: ${JSON.stringify(value)}`]
  if (Array.isArray(value)) return value.flatMap((item, n) => faults(schema.items!, item, `${path}[${n}]`))
  if (schema.type !== 'object') return []
  const object = value as Record<string, unknown>
  const absent = (schema.required ?? []).filter((name) => object[name] === undefined)
  return [
    ...absent.map((name) => `${path}.${name} is missing`),
    ...Object.entries(object).flatMap(([name, member]) => {
      if (member === undefined) return []
      const known = schema.properties?.[name] ?? schema.additionalProperties
      if (known) return faults(known, member, `${path}.${name}`)
      return known === false ? [`${path}.${name} does not exist`] : []
    }),
  ]
}

/**
 * Reads the parameters of a request: converts a form's strings to the types of the endpoint's parameters.
 * @throws StripeProblem 400 for unknown, missing and ill-formed parameters.
 */
export function readRequest<K extends RouteKey>(route: K, form: Form): Requests[K] {
  const schema = resolve(schemas.requests[route]!)
  const unknown = Object.keys(form).filter((name) => !schema.properties?.[name])
  if (unknown.length > 0) throw unknownParameters(unknown)
  return readObject(schema, form, '') as unknown as Requests[K]
}

function unknownParameters(names: string[]) {
  return malformed(`Received unknown parameter${names.length > 1 ? 's' : ''}: ${names.join(', ')}`, {
    code: 'parameter_unknown',
    param: names[0]!,
  })
}

function readValue(schema: Schema, value: Form[string], path: string): unknown {
  const options = alternatives(schema)
  if (typeof value === 'string') return readText(options, value, path)
  const list = options.find((option) => option.type === 'array')
  const object = options.find((option) => option.type === 'object')
  // A list is sent as a[]=1&a[]=2 or as a[0]=1&a[1]=2.
  const items = Array.isArray(value) ? value : list && !object ? Object.values(value) : undefined
  if (list && items) return items.map((item, n) => readValue(list.items!, item, `${path}[${n}]`))
  if (!object || Array.isArray(value))
    throw malformed(`Invalid ${list ? 'array' : 'string'}`, { param: path })
  return readObject(object, value, path)
}

function readObject(schema: Schema, form: Form, path: string): Record<string, unknown> {
  const at = (name: string) => (path === '' ? name : `${path}[${name}]`)
  for (const name of schema.required ?? []) {
    if (form[name] === undefined) {
      throw malformed(`Missing required param: ${at(name)}.`, { code: 'parameter_missing', param: at(name) })
    }
  }
  return Object.fromEntries(
    Object.entries(form).map(([name, value]) => {
      const known = schema.properties?.[name] ?? schema.additionalProperties
      if (!known) throw unknownParameters([at(name)])
      return [name, readValue(known, value, at(name))]
    }),
  )
}

/** Fields of an address may be empty, although the declarations do not say so. */
const EMPTY_ALLOWED = /(^|\[)address\]?\[\w+\]$/

function readText(options: Schema[], text: string, path: string): unknown {
  const values = options.flatMap((option) => option.enum ?? [])
  const types = new Set(options.map((option) => option.type))
  if (text === '') {
    // An empty string unsets a parameter that may be null according to the declarations.
    if (values.includes('') || types.has('null') || EMPTY_ALLOWED.test(path)) return ''
    throw malformed(
      `You passed an empty string for '${path}'. We assume empty values are an attempt to unset a parameter; however '${path}' cannot be unset. You should remove '${path}' from your request or supply a non-empty value.`,
      { code: 'parameter_invalid_empty', param: path },
    )
  }
  if (values.includes(text)) return text
  if (types.has('boolean') || values.includes(true)) {
    if (text === 'true' || text === 'false') return text === 'true'
    if (!types.has('string')) throw malformed(`Invalid boolean: ${text}`, { param: path })
  }
  if (types.has('number') && /^-?\d+$/.test(text)) return Number(text)
  if (types.has('string')) return text
  if (types.has('number')) {
    throw malformed(`Invalid integer: ${text}`, { code: 'parameter_invalid_integer', param: path })
  }
  if (values.length > 0) {
    const allowed = values.filter((value) => value !== '')
    throw malformed(`Invalid ${path}: must be one of ${allowed.join(', ')}`, { param: path })
  }
  throw malformed(`Invalid ${types.has('array') ? 'array' : 'object'}`, { param: path })
}
