import { parseArgs } from 'node:util'
import { ROLES, type Role } from '../../../core/operators/operator.ts'
import type { Command, Commands, Input } from './command.ts'
import { isSwitch, requiredOf, typedValue } from './fields.ts'

/** Of which deployment a command asks. */
export interface Where {
  /** A deployment on AWS by its stage. */
  stage: string | undefined
  /** The address of a deployment, or of a stack on this machine. */
  url: string | undefined
  /** The AWS region of a `url` that does not name it. */
  region: string | undefined
  /** As whom to ask the stack on this machine. */
  role: Role
}

/** What was typed. */
export interface Typed {
  where: Where
  json: boolean
  yes: boolean
  /** The name of the request, by which a repeat is recognised. */
  request: string | undefined
  /** Undefined for help, which `topic` narrows down to the commands that begin so. */
  command: (Command & { words: string }) | undefined
  topic: string
  input: Input
}

export const LOCAL_URL = 'http://127.0.0.1:3000'

const GENERAL = {
  stage: { type: 'string' },
  url: { type: 'string' },
  region: { type: 'string' },
  as: { type: 'string' },
  request: { type: 'string' },
  json: { type: 'boolean' },
  yes: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

/** `unitsLeft` as a flag: `units-left`. */
export const flagOf = (field: string): string =>
  field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** The command as a person types it, with its arguments. */
export const usageOf = (words: string, { takes = [] }: Command): string =>
  [words, ...takes.map((name) => `<${name}>`)].join(' ')

/**
 * Reads what was typed.
 * @throws Error with a sentence for the person at the terminal
 */
export function readTyped(args: string[], commands: Commands): Typed {
  const { values, positionals } = parse(args, commands)
  const words = wordsOf(positionals, commands)
  const typed = {
    where: whereOf(values),
    json: values.json === true,
    yes: values.yes === true,
    request: values.request as string | undefined,
    topic: positionals.join(' '),
  }
  if (values.help || positionals.length === 0)
    return { ...typed, topic: words ?? typed.topic, command: undefined, input: {} }
  const command = words === undefined ? undefined : commands[words]
  if (words === undefined || !command)
    throw new Error(`There is no command "${typed.topic}". "npm run ops -- --help" shows all.`)
  const rest = positionals.slice(words.split(' ').length)
  return { ...typed, command: { ...command, words }, input: inputOf(words, command, rest, values) }
}

type Values = Readonly<Record<string, string | boolean | undefined>>

function parse(args: string[], commands: Commands): { values: Values; positionals: string[] } {
  const flags = Object.values(commands).flatMap(({ row, flags = {} }) =>
    Object.keys(flags).map((field) => [
      flagOf(field),
      { type: isSwitch(row, field) ? ('boolean' as const) : ('string' as const) },
    ]),
  )
  try {
    const options = { ...Object.fromEntries(flags), ...GENERAL }
    return parseArgs({ args, allowPositionals: true, options }) as { values: Values; positionals: string[] }
  } catch (error) {
    const said = (error as Error).message.replaceAll('\n', ' ')
    throw new Error(`${said} "npm run ops -- --help" shows every command with its flags.`)
  }
}

/** The longest command that the words begin with. */
const wordsOf = (positionals: string[], commands: Commands): string | undefined =>
  [3, 2, 1]
    .map((count) => positionals.slice(0, count).join(' '))
    .find((words) => Object.hasOwn(commands, words))

function inputOf(words: string, command: Command, rest: string[], values: Values): Input {
  const { row, takes = [], flags = {}, defaults = {} } = command
  const usage = `Usage: npm run ops -- ${usageOf(words, command)}`
  const missing = takes[rest.length]
  if (missing !== undefined) throw new Error(`<${missing}> is missing. ${usage}`)
  if (rest.length > takes.length) throw new Error(`"${rest[takes.length]}" is too much. ${usage}`)
  const known = [...Object.keys(GENERAL), ...Object.keys(flags).map(flagOf)]
  const strange = Object.keys(values).find((flag) => !known.includes(flag))
  if (strange !== undefined)
    throw new Error(
      `"${words}" has no flag --${strange}. "npm run ops -- ${words} --help" shows those it has.`,
    )
  const typed = takes.map((name, at) => [name, typedValue(row, name, rest[at] ?? '')])
  const flagged = Object.keys(flags).flatMap((name) => {
    const value = values[flagOf(name)]
    if (value === undefined) return []
    return [[name, typeof value === 'string' ? typedValue(row, name, value) : value]]
  })
  const input = { ...defaults, ...Object.fromEntries([...typed, ...flagged]) }
  const lacking = command.run ? undefined : requiredOf(row).find((name) => !Object.hasOwn(input, name))
  if (lacking !== undefined)
    throw new Error(`--${flagOf(lacking)} is missing: ${flags[lacking] ?? lacking}. ${usage}`)
  return input
}

function whereOf({ stage, url, region, as: role = 'admin' }: Values): Where {
  if (stage !== undefined && url !== undefined) throw new Error('Give --stage or --url, not both.')
  if (stage !== undefined && !/^[a-z][a-z0-9-]{0,15}$/.test(String(stage)))
    throw new Error(`--stage ${stage} is no stage: a stage has up to 16 letters, digits and hyphens.`)
  if (url !== undefined && !URL.canParse(String(url)))
    throw new Error(`--url ${url} is no URL, such as ${LOCAL_URL}.`)
  if (!ROLES.some((known) => known === role))
    throw new Error(`--as ${role} is no role. There are: ${ROLES.join(', ')}.`)
  return { stage, url, region, role } as Where
}
