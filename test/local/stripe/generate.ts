import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  API,
  type Checker,
  SymbolFlags,
  type Symbol as TsSymbol,
  type Type,
  TypeFlags,
  type TypeReference,
} from 'typescript/unstable/sync'

/**
 * Writes `schema.json` from stripe-node's declarations: `node test/local/stripe/generate.ts`.
 *
 * To keep the file small, the schemas leave out references to objects that the double does not answer, and
 * everything about payment methods other than cards. Open enums are limited to the values that this version
 * of the package knows.
 */

/** The part of JSON Schema 2020-12 that the double uses. */
export interface Schema {
  $ref?: string
  type?: 'string' | 'number' | 'boolean' | 'null' | 'array' | 'object'
  enum?: (string | number | boolean | null)[]
  anyOf?: Schema[]
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: Schema | false
}

export interface SchemaFile {
  /** The version of the package that the schemas were made from. */
  stripe: string
  answers: Record<string, Schema>
  requests: Record<string, Schema>
  $defs: Record<string, Schema>
}

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const WIRE = fileURLToPath(new URL('wire.ts', import.meta.url))
const OUT = fileURLToPath(new URL('schema.json', import.meta.url))

/** Reads the declarations and builds the schemas. Takes about a second. */
export function generateSchema(): SchemaFile {
  const api = new API({ cwd: ROOT })
  try {
    const project = api.updateSnapshot({ openProjects: [`${ROOT}tsconfig.json`] }).getProjects()[0]!
    const { checker } = project
    const module = checker.getSymbolAtLocation(project.program.getSourceFile(WIRE)!)!
    const membersOf = (name: string): [string, Type][] => {
      const symbol = checker.getExportsOfModule(module).find((each) => each.name === name)!
      return propertiesOf(checker, checker.getDeclaredTypeOfSymbol(symbol))
    }
    const answers = membersOf('Answers')
    const reader: Reader = {
      checker,
      answered: new Set(answers.map(([, type]) => type.id)),
      otherMethods: otherMethods(checker, Object.fromEntries(answers)),
      names: new Map(),
      definitions: {},
    }
    const schemasOf = (types: [string, Type][]) =>
      Object.fromEntries(types.map(([name, type]) => [name, schemaOf(reader, type)!]))
    return {
      stripe: JSON.parse(readFileSync(`${ROOT}node_modules/stripe/package.json`, 'utf8')).version,
      answers: schemasOf(answers),
      requests: schemasOf(membersOf('Requests')),
      $defs: reader.definitions,
    }
  } finally {
    api.close()
  }
}

interface Reader {
  checker: Checker
  /** Ids of the types that the double answers. */
  answered: ReadonlySet<number>
  /** Names of properties that concern payment methods other than cards. */
  otherMethods: ReadonlySet<string>
  /** Names of definitions by the id of their type. */
  names: Map<number, string>
  definitions: Record<string, Schema>
}

function propertiesOf(checker: Checker, type: Type): [string, Type][] {
  return checker
    .getPropertiesOfType(type)
    .map((property) => [property.name, checker.getTypeOfSymbol(property)!] as [string, Type])
}

function otherMethods(checker: Checker, answers: Record<string, Type>): Set<string> {
  const property = (type: Type, name: string) =>
    checker.getTypeOfSymbol(checker.getPropertyOfType(type, name)!)!
  const kinds = membersOfUnion(property(answers.payment_method!, 'type'))
  const details = membersOfUnion(property(answers.charge!, 'payment_method_details'))
  const names = new Set([
    ...kinds.flatMap((kind) => (kind.isStringLiteralType() ? [kind.value] : [])),
    ...details.flatMap((detail) => checker.getPropertiesOfType(detail).map((each) => each.name)),
  ])
  for (const kept of ['card', 'type']) names.delete(kept)
  return names
}

const membersOfUnion = (type: Type): readonly Type[] => (type.isUnionType() ? type.getTypes() : [type])

/** Undefined for a type that the double neither answers nor reads. */
function schemaOf(reader: Reader, type: Type): Schema | undefined {
  if (type.flags & TypeFlags.AnyOrUnknown) return {}
  if (type.flags & TypeFlags.Boolean) return { type: 'boolean' }
  if (type.flags & TypeFlags.String) return { type: 'string' }
  if (type.flags & TypeFlags.Number) return { type: 'number' }
  if (type.flags & TypeFlags.Null) return { type: 'null' }
  if (type.isUnionType()) return unionSchema(reader, type.getTypes())
  if (type.isLiteralType()) return { enum: [type.value as string | number | boolean] }
  if (reader.checker.isArrayType(type)) {
    const items = schemaOf(reader, reader.checker.getTypeArguments(type as TypeReference)[0]!)
    // A list of objects that the double does not answer is always empty.
    return { type: 'array', items: items ?? { enum: [] } }
  }
  // Other types that are not objects have no schema: undefined, void, and `string & {}`, which leaves an enum
  // open.
  return type.isObjectType() ? objectSchema(reader, type) : undefined
}

function unionSchema(reader: Reader, types: readonly Type[]): Schema | undefined {
  const parts = types.flatMap((type) => schemaOf(reader, type) ?? [])
  const values = parts.flatMap((part) => part.enum ?? [])
  const rest = parts.filter((part) => !part.enum)
  const closed: Schema[] = values.length > 0 ? [{ enum: values }] : []
  const anyOf = [...closed, ...rest]
  return anyOf.length > 1 ? { anyOf } : anyOf[0]
}

function objectSchema(reader: Reader, type: Type): Schema | undefined {
  const { checker } = reader
  if (isResource(checker, type) && !reader.answered.has(type.id)) return undefined
  const symbol = type.getSymbol()
  // A generic type, such as a list of something, is written in place; a named type is defined once.
  const generic = type.isTypeReference() && checker.getTypeArguments(type).length > 0
  if (!symbol || symbol.name === '__type' || generic) return members(reader, type)
  const name = reader.names.get(type.id) ?? define(reader, type, pathOf(symbol))
  return { $ref: `#/$defs/${name}` }
}

function define(reader: Reader, type: Type, path: string): string {
  const taken = new Set(reader.names.values())
  let name = path
  for (let n = 2; taken.has(name); n += 1) name = `${path}~${n}`
  reader.names.set(type.id, name)
  const schema = members(reader, type)
  if (!schema) throw new Error(`${name} needs an object that the double does not answer`)
  reader.definitions[name] = schema
  return name
}

function members(reader: Reader, type: Type): Schema | undefined {
  const { checker } = reader
  const index = checker.getIndexInfosOfType(type)[0]
  if (index) {
    const values = schemaOf(reader, index.valueType)
    return values && { type: 'object', additionalProperties: values }
  }
  const found = checker.getPropertiesOfType(type)
  // An empty interface stands for "some object".
  if (found.length === 0) return { type: 'object' }
  const properties: Record<string, Schema> = {}
  const required: string[] = []
  for (const property of found) {
    if (reader.otherMethods.has(property.name)) continue
    const schema = schemaOf(reader, checker.getTypeOfSymbol(property)!)
    const optional = Boolean(property.flags & SymbolFlags.Optional)
    if (schema) properties[property.name] = schema
    // An object with a required member that the double does not answer cannot be answered itself.
    else if (!optional) return undefined
    if (!optional) required.push(property.name)
  }
  return {
    type: 'object',
    properties,
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  }
}

/** Whether the type is a Stripe resource, which names its kind in a literal `object`. */
function isResource(checker: Checker, type: Type): boolean {
  const object = checker.getPropertyOfType(type, 'object')
  const id = checker.getPropertyOfType(type, 'id')
  return Boolean(object && id && checker.getTypeOfSymbol(object)?.isStringLiteralType())
}

/** `PaymentIntent.NextAction` for the interface in that namespace. */
function pathOf(symbol: TsSymbol): string {
  const parent = symbol.getParent()
  return parent && parent.declarations.length > 0 && !parent.name.startsWith('"')
    ? `${pathOf(parent)}.${symbol.name}`
    : symbol.name
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(OUT, `${JSON.stringify(generateSchema())}\n`)
}
