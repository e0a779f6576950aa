import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseSync } from '@swc/core'
import { PURPOSES } from '../../core/purposes.ts'
import { type Deployed, functions } from '../../functions/deploy/functions.ts'
import { needs } from '../../functions/http/needs.ts'
import { reachableCode } from './reads.ts'

/** What a function can ask AWS for, as far as its code says: `CALLS_FILE` has it of every function. */
export interface Calls {
  /** Methods of ports, such as `identity.refresh`; writes of transactions count as the methods of the table. */
  methods: string[]
  /** Partitions of the table that it only reads, and those that it may write, as patterns of IAM. */
  reads: string[]
  writes: string[]
  /** What it does with the root secret. */
  purposes: string[]
}

/** The parts of swc's syntax tree that are read here. */
interface Node {
  type: string
  value?: string | Node
  cooked?: string
  [member: string]: unknown
}

const ROOT = join(import.meta.dirname, '..', '..')

/** The modules behind the ports, and the one that sends a transaction of a single write as that write. */
const BEHIND = /^core\/(?:adapters\/|table\/(?:requests|wire|dynamodb|write-all)\.ts)/

const ofPorts = new Set(
  Object.entries(needs).flatMap(([port, { grants }]) =>
    Object.keys(grants).map((method) => `${port}.${method}`),
  ),
)

/** The modules of the domain that make keys. */
const sources = (): string[] =>
  readdirSync(join(ROOT, 'core'), { recursive: true, withFileTypes: true })
    .filter(({ name }) => name.endsWith('.ts'))
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'utf8'))
    .filter((text) => /\bpk: [`'A-Za-z]+/.test(text))

/** The partitions that are one text, as the list of all keys has them. */
const WHOLE = new Set(
  [...readFileSync(join(ROOT, 'core/table/keys.ts'), 'utf8').matchAll(/^ \* \|[^|]+\| ([A-Z]+) +\|/gm)].map(
    ([, partition = '']) => partition,
  ),
)

/** Keys that are stored in items of other partitions. */
const STORED = { 'previous.lookup': 'APIKEY#*' }

/** The partition that each key of the table lies in, by the name by which code has it: `keys.profile`, `paymentKey`. */
const partitions = partitionsByName()

export async function callsOf(fn: Deployed): Promise<Calls> {
  // esbuild writes the path of each module above its code.
  const modules = (await reachableCode(fn)).split(/^ *\/\/ (?=[\w/.-]+\.ts$)/m)
  const code = modules.filter((text) => !BEHIND.test(text)).map((text) => `// ${text}`)
  const found: Found = { methods: new Set(), reads: new Set(), writes: new Set(), purposes: new Set() }
  visit(parseSync(code.join('\n'), { syntax: 'ecmascript', target: 'es2022' }), found, 'writes')
  const methods = [...found.methods].filter((method) =>
    fn.needs.some((need) => method.startsWith(`${need}.`)),
  )
  const isWriting = methods.some((method) => WRITING.includes(method))
  const isWritten = (partition: string) =>
    isWriting && (found.writes.has(partition) || !ONLY_MADE_BY_NAME.includes(partition))
  const reached = fn.needs.includes('table') ? [...found.reads.union(found.writes)].sort() : []
  return {
    methods: methods.sort(),
    reads: reached.filter((partition) => !isWritten(partition)),
    writes: reached.filter(isWritten),
    purposes: fn.needs.includes('keyring') ? [...found.purposes].sort() : [],
  }
}

const WRITING = ['put', 'putAll', 'update', 'remove'].map((method) => `table.${method}`)

/**
 * Partitions whose items nobody changes without naming their key. Of all others an item that was read may be written back,
 * which code does not show.
 */
const ONLY_MADE_BY_NAME = [
  'SERVICE#*',
  'SERVICES',
  'ADMINKEY#*',
  'ADMINKEYS',
  'OPERATORS',
  'PLANS',
  'MAILDOMAINS',
  'ENDPOINTS',
]

type Found = { methods: Set<string>; reads: Set<string>; writes: Set<string>; purposes: Set<string> }

/** Collects what a syntax tree asks for. Keys count as written, unless they are arguments of a read. */
function visit(node: unknown, found: Found, use: Use): void {
  if (typeof node !== 'object' || node === null) return
  if (Array.isArray(node)) {
    for (const each of node) visit(each, found, use)
    return
  }
  const { type, callee, object, property, properties, key, arguments: given, ...rest } = node as Node
  if (type === 'VariableDeclarator' && isKey(rest.id, rest.init)) return
  // Where modules load later, esbuild declares first and assigns then.
  if (type === 'AssignmentExpression' && isKey(rest.left, rest.right)) return
  if (type === 'MemberExpression') add(`${unnumbered(holderOf(object))}.${nameOf(property)}`, found, use)
  if (type === 'StringLiteral' && WHOLE.has(nameOf(node))) found[use].add(nameOf(node))
  if (type === 'StringLiteral' && isPurpose(nameOf(node))) found.purposes.add(nameOf(node))
  if (type === 'Identifier' && isConstant(nameOf(node))) add(unnumbered(nameOf(node)), found, use)
  if (type === 'ObjectExpression') addWrite((properties ?? []) as Node[], found)
  const isRead =
    type === 'CallExpression' && (READS.test(methodOf(callee)) || unnumbered(nameOf(callee)) === FINDER)
  for (const called of [callee, ...argumentsOf(given), ...valuesOf(node as Node)])
    if (!isConstant(nameOf(called))) add(unnumbered(nameOf(called)), found, isRead ? 'reads' : use)
  if (methodOf(callee) === 'due' || unnumbered(nameOf(callee)) === 'eachDue')
    for (const kind of argumentsOf(given)) addDue(nameOf(kind), found)
  // The name of a member is no variable.
  const computed = [property, key].filter((name) => (name as Node | undefined)?.type === 'Computed')
  visit([callee, object, properties, ...computed, ...Object.values(rest)], found, use)
  visit(given, found, isRead ? 'reads' : use)
}

type Use = 'reads' | 'writes'

const READS = /^(?:get|getAll|list|page)$/
/** What finds the owner of a credential, which reads the key that it is given. */
const FINDER = 'credentialFinder'

const argumentsOf = (given: unknown): Node[] =>
  Array.isArray(given) ? given.map(({ expression }: { expression: Node }) => expression) : []

/** What a key may be besides called: the value of a member, or one of two. */
const valuesOf = ({ type, value, consequent, alternate }: Node): unknown[] =>
  type === 'KeyValueProperty' ? [value] : type === 'ConditionalExpression' ? [consequent, alternate] : []

/** Where items lie that are found by being due, other than in the partition of an account. */
const DUE_IN: Partial<Record<string, string>> = { ASK: 'ASK#*', DELIVERY: 'ENDPOINT#*', PAYMENT: 'PAYMENT#*' }

const addDue = (kind: string, { writes }: Found): void => {
  const partition = DUE_IN[kind]
  if (partition !== undefined) writes.add(partition)
}

/** Whether a variable is one of the keys themselves, which are in every bundle that has any of them. */
const isKey = (variable: unknown, value: unknown): boolean => {
  const [name, type] = [unnumbered(nameOf(variable)), (value as Node | undefined)?.type ?? '']
  if (name === 'keys') return type === 'ObjectExpression'
  return partitions.has(name) && /^(?:Arrow|StringLiteral|TemplateLiteral)/.test(type)
}

const isPurpose = (text: string): boolean => PURPOSES.some((purpose) => purpose === text)

const isConstant = (name: string): boolean => /^[A-Z_]+\d*$/.test(name)

function add(name: string, { methods, ...found }: Found, use: 'reads' | 'writes'): void {
  if (ofPorts.has(name)) methods.add(name)
  const partition = partitions.get(name)
  if (partition !== undefined) found[use].add(partition)
}

/** `{ put: item, if: condition }` and the like, which become writes of a transaction. */
function addWrite(properties: Node[], { methods }: Found): void {
  const names = properties.map((each) => (each.type === 'SpreadElement' ? '...' : nameOf(each.key ?? each)))
  const [kind] = names.filter((name) => /^(?:put|update|remove|check)$/.test(name))
  const members = kind === 'update' ? [kind, 'set', 'if', '...'] : [kind, 'if', '...']
  if (kind === undefined || names.some((name) => !members.includes(name))) return
  if (kind === 'update' && names.length === 1) return
  if (kind === 'check' && names.length === 1) return
  methods.add(`table.${kind}`)
}

/** esbuild numbers names that two modules have. */
const unnumbered = (name: string): string => name.replace(/\d+$/, '')

function nameOf(node: unknown): string {
  const { value } = (node ?? {}) as Node
  return typeof value === 'string' ? value : ''
}

const methodOf = (callee: unknown): string => {
  const { type, object, property } = (callee ?? {}) as Node
  return type === 'MemberExpression' && unnumbered(holderOf(object)) === 'table' ? nameOf(property) : ''
}

/** The last name of what has a member: `table` of `deps.table.get`. */
const holderOf = (object: unknown): string => {
  const { type, property, expression } = (object ?? {}) as Node
  if (type === 'ParenthesisExpression') return holderOf(expression)
  return nameOf(type === 'MemberExpression' ? property : object)
}

function partitionsByName(): Map<string, string> {
  const inits = new Map<string, Node>()
  for (const source of sources()) {
    const { body } = parseSync(source, { syntax: 'typescript', target: 'es2022' })
    for (const item of body as unknown as Node[]) {
      const { declarations = [] } = (item.declaration ?? item) as { declarations?: Node[] }
      for (const { id, init } of declarations) if (init) inits.set(nameOf(id), bodyOf(init as Node))
    }
  }
  for (const property of (inits.get('keys')?.properties ?? []) as Node[])
    inits.set(`keys.${nameOf(property.key ?? property)}`, bodyOf((property.value ?? property) as Node))
  const textOf = (node: Node | undefined): string | undefined => {
    if (node?.type === 'StringLiteral') return node.value as string
    if (node?.type === 'TemplateLiteral') return `${(node.quasis as Node[])[0]?.cooked}*`
    if (node?.type === 'CallExpression') return textOf(inits.get(nameOf(node.callee)))
    return node?.type === 'Identifier' ? textOf(inits.get(nameOf(node))) : undefined
  }
  const pkOf = ({ properties = [] }: { properties?: Node[] }): string | undefined =>
    textOf(properties.find(({ key }) => nameOf(key) === 'pk')?.value as Node | undefined)
  const all = [...inits].map(([name, node]) => [name, pkOf(node as object), textOf(node)] as const)
  const known = new Set(all.map(([, pk]) => pk))
  // A text that is the partition of some key stands for it: `operatorPartition`, `PLANS`.
  const found = all.flatMap(([name, pk, text]): [string, string][] => {
    const partition = pk ?? (known.has(text) ? text : undefined)
    return partition === undefined ? [] : [[name, partition]]
  })
  return new Map([...found, ...Object.entries(STORED)])
}

/** What an arrow function returns, or the expression itself. */
function bodyOf(node: Node): Node {
  if (node.type === 'ArrowFunctionExpression') return bodyOf(node.body as Node)
  return node.type === 'ParenthesisExpression' || node.type === 'TsAsExpression'
    ? bodyOf(node.expression as Node)
    : node
}

export const CALLS_FILE = 'functions/deploy/calls.ts'

/** The content of that file. */
export async function callsFile(): Promise<string> {
  const all = await Promise.all(functions.map(async (fn) => [fn.name, await callsOf(fn)] as const))
  const lines = all.map(
    ([name, { methods, reads, writes, purposes }]) =>
      `  '${name}': { methods: '${methods.join(' ')}', reads: '${reads.join(' ')}', writes: '${writes.join(' ')}', purposes: '${purposes.join(' ')}' },`,
  )
  return `// Written by \`npm run generate\` from the code that each function can reach.

import type { Calls } from './functions.ts'

// biome-ignore format: a line for each function
export const calls: Readonly<Record<string, Calls>> = {
${lines.join('\n')}
}
`
}
