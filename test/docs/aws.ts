/**
 * A stand-in for the AWS CLI: it knows the operations that our pages name, with their options, and answers from the
 * resources that the deployment asked for. What it refuses it also adds to the file `BURSAR_COMPLAINTS`, since a shell
 * ignores the failure of a command within another one's words.
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { Resource } from '../infra/graph.ts'

type Options = Readonly<Record<string, string>>

interface Operation {
  needs?: readonly string[]
  takes?: readonly string[]
  /** @throws Error if AWS would refuse it */
  answer?(options: Options): unknown
}

const ACCOUNT = '123456789012'
const GLOBAL = ['region', 'query', 'output']

const resources = (type: string): Resource[] => {
  const file = process.env.BURSAR_GRAPH ?? ''
  const all: Resource[] = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
  return all.filter((each) => each.type === type)
}

/** @throws Error if the deployment has no such resource */
function named(type: string, property: string, name: string | undefined): Resource {
  const found = resources(type).find(({ inputs }) => inputs[property] === name)
  if (!found) throw new Error(`ResourceNotFoundException: the deployment has no ${type} called ${name}`)
  return found
}

/** What readers have made by commands, each with its state, by kind and name such as `table/copy`. */
function made(): Record<string, 'CREATING' | 'ACTIVE'> {
  const file = process.env.BURSAR_MADE ?? ''
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
}

function make(name: string, state: 'CREATING' | 'ACTIVE'): void {
  if (process.env.BURSAR_MADE)
    writeFileSync(process.env.BURSAR_MADE, JSON.stringify({ ...made(), [name]: state }))
}

/** The tables that a deployment has made, or was told to use. */
const deployedTables = (): unknown[] => [
  ...resources('aws:dynamodb/table:Table').map(({ inputs }) => inputs.name),
  ...resources('aws:lambda/function:Function').map(({ inputs }) => inputs.environment?.variables?.TABLE_NAME),
]

/** @throws Error unless a table is there: the deployment's, or one that a command has made. */
function describedTable({ 'table-name': name = '' }: Options): object {
  const state = deployedTables().includes(name) ? 'ACTIVE' : made()[`table/${name}`]
  if (!state) throw new Error(`ResourceNotFoundException: there is no table called ${name}`)
  return {
    Table: {
      TableName: name,
      TableStatus: state,
      SSEDescription: { KMSMasterKeyArn: `arn:aws:kms:eu-west-1:${ACCOUNT}:key/0193` },
    },
  }
}

/** @throws Error unless a table is there and may be changed. */
function table(options: Options): object {
  const name = options['table-name']
  const found = describedTable(options)
  if (made()[`table/${name}`] === 'CREATING')
    throw new Error(`ResourceInUseException: the table ${name} is being created`)
  return found
}

/** A wait of the CLI that is over before what it waits for: no mistake of who waits. */
class GaveUp extends Error {
  readonly exitCode = 255
}

/** A restore takes longer than one wait of the CLI. @throws GaveUp at the first wait for a table */
function waitForTable({ 'table-name': name }: Options): object {
  describedTable({ 'table-name': name ?? '' })
  if (made()[`table/${name}`] !== 'CREATING') return {}
  make(`table/${name}`, 'ACTIVE')
  throw new GaveUp('Waiter TableExists failed: Max attempts exceeded')
}

const arn = (path: string) => `arn:aws:events:eu-west-1:${ACCOUNT}:${path}`
const json = (text = '') => JSON.parse(text)

/** A shorthand value, `Name=value,Other=value`. @throws Error if its members are others */
function members(text: string | undefined, wanted: readonly string[]): void {
  const names = (text ?? '').split(',').map((pair) => pair.split('=')[0])
  if (names.join() !== wanted.join()) throw new Error(`ParamValidation: ${text} must have ${wanted}`)
}

export const operations: Readonly<Record<string, Operation>> = {
  'sts get-caller-identity': { answer: () => ({ Account: ACCOUNT }) },
  'dynamodb describe-table': { needs: ['table-name'], answer: describedTable },
  'dynamodb wait table-exists': { needs: ['table-name'], answer: waitForTable },
  'dynamodb update-table': {
    needs: ['table-name'],
    takes: ['deletion-protection-enabled', 'no-deletion-protection-enabled'],
    answer: table,
  },
  'dynamodb delete-table': { needs: ['table-name'], answer: table },
  'dynamodb create-backup': { needs: ['table-name', 'backup-name'], answer: table },
  'dynamodb export-table-to-point-in-time': { needs: ['table-arn', 's3-bucket'], takes: ['export-format'] },
  'dynamodb import-table': {
    needs: ['s3-bucket-source', 'input-format', 'table-creation-parameters'],
    takes: ['input-compression-type'],
  },
  'dynamodb update-time-to-live': {
    needs: ['table-name', 'time-to-live-specification'],
    answer(options) {
      members(options['time-to-live-specification'], ['Enabled', 'AttributeName'])
      return table(options)
    },
  },
  'dynamodb update-continuous-backups': {
    needs: ['table-name', 'point-in-time-recovery-specification'],
    answer(options) {
      members(options['point-in-time-recovery-specification'], ['PointInTimeRecoveryEnabled'])
      return table(options)
    },
  },
  'dynamodb restore-table-to-point-in-time': {
    needs: ['source-table-name', 'target-table-name'],
    takes: ['restore-date-time', 'sse-specification-override'],
    answer(options) {
      members(options['sse-specification-override'], ['Enabled', 'SSEType', 'KMSMasterKeyId'])
      const { 'source-table-name': source = '', 'target-table-name': target = '' } = options
      if (!(Date.parse(options['restore-date-time'] ?? '') < Date.now()))
        throw new Error(`InvalidRestoreTimeException: ${options['restore-date-time']}`)
      if (!/^[\w.-]{3,255}$/.test(target)) throw new Error(`ValidationException: the table name ${target}`)
      const found = table({ 'table-name': source })
      if (deployedTables().includes(target) || made()[`table/${target}`])
        throw new Error(`TableAlreadyExistsException: ${target}`)
      make(`table/${target}`, 'CREATING')
      return found
    },
  },
  'events list-rules': {
    takes: ['event-bus-name'],
    answer(options) {
      const bus = named('aws:cloudwatch/eventBus:EventBus', 'name', options['event-bus-name'])
      const rules = resources('aws:cloudwatch/eventRule:EventRule').filter(
        ({ inputs }) => inputs.eventBusName === bus.inputs.name,
      )
      return { Rules: rules.map(({ name }) => ({ Name: name, Arn: arn(`rule/${name}`) })) }
    },
  },
  'events describe-event-bus': {
    takes: ['name'],
    answer: ({ name }) => ({
      Arn: arn(`event-bus/${named('aws:cloudwatch/eventBus:EventBus', 'name', name).inputs.name}`),
    }),
  },
  'events describe-archive': {
    needs: ['archive-name'],
    answer: ({ 'archive-name': name }) => ({
      ArchiveArn: arn(
        `archive/${named('aws:cloudwatch/eventArchive:EventArchive', 'name', name).inputs.name}`,
      ),
    }),
  },
  'events start-replay': {
    needs: ['replay-name', 'event-source-arn', 'event-start-time', 'event-end-time', 'destination'],
    answer(options) {
      const { Arn, FilterArns } = json(options.destination)
      const isRight = /:event-bus\//.test(Arn) && FilterArns.length === 1 && /:rule\//.test(FilterArns[0])
      if (!isRight || !/:archive\//.test(options['event-source-arn'] ?? ''))
        throw new Error(`ValidationException: ${JSON.stringify(options)}`)
      const [start = 0, end = 0] = ['event-start-time', 'event-end-time'].map((name) =>
        Date.parse(options[name] ?? ''),
      )
      if (!(start < end)) throw new Error('ValidationException: EventStartTime must be before EventEndTime')
      const name = options['replay-name'] ?? ''
      if (!/^[.\-_A-Za-z0-9]{1,64}$/.test(name))
        throw new Error(`ValidationException: the replay name ${name}`)
      // A replay keeps its name for 90 days, whatever came of it.
      if (made()[`replay/${name}`])
        throw new Error(`ResourceAlreadyExistsException: Replay ${name} already exists.`)
      make(`replay/${name}`, 'ACTIVE')
      return {}
    },
  },
  'events describe-replay': {
    needs: ['replay-name'],
    answer({ 'replay-name': name }) {
      if (!made()[`replay/${name}`])
        throw new Error(`ResourceNotFoundException: Replay ${name} does not exist.`)
      return { ReplayName: name, State: 'COMPLETED' }
    },
  },
  'lambda invoke': {
    needs: ['function-name'],
    takes: ['invocation-type', 'payload', 'OUTFILE'],
    answer: ({ 'function-name': name }) => ({
      StatusCode: named('aws:lambda/function:Function', 'name', name) && 202,
    }),
  },
  'apigatewayv2 get-apis': {
    answer: () => ({
      Items: resources('aws:apigatewayv2/api:Api').map(({ inputs }) => ({
        Name: inputs.name,
        ApiEndpoint: process.env.BURSAR_API,
      })),
    }),
  },
  'acm request-certificate': { needs: ['domain-name'], takes: ['validation-method'] },
  'sesv2 delete-suppressed-destination': { needs: ['email-address'] },
  'sesv2 delete-email-identity': { needs: ['email-identity'] },
  'kms cancel-key-deletion': { needs: ['key-id'] },
  'kms enable-key': { needs: ['key-id'] },
}

/** What `--query` finds: a path of names, with a filter of a list by a text in a member or by its whole. */
export function queried(value: unknown, query: string | undefined): unknown {
  if (query === undefined) return value
  const [, list = '', contains, part, equals, whole, rest] =
    /^(\w+)\[\?(?:contains\((\w+),'([^']*)'\)|(\w+)=='([^']*)')\]\.(\w+)$/.exec(query) ?? []
  // biome-ignore lint/suspicious/noExplicitAny: any answer
  const inside = (from: any, path: string) => path.split('.').reduce((at, name) => at?.[name], from)
  if (!rest) return inside(value, query)
  const isWanted = (item: Record<string, string>) =>
    contains ? item[contains]?.includes(part ?? '') : item[equals ?? ''] === whole
  return inside(value, list)
    .filter(isWanted)
    .map((item: Record<string, string>) => item[rest])
}

/** @returns what the CLI would print @throws Error with what is wrong with a command */
export function awsAnswer(words: readonly string[]): string {
  const name = Object.keys(operations).find((each) => `${words.join(' ')} `.startsWith(`${each} `))
  const operation = operations[name ?? '']
  if (!operation || !name)
    throw new Error(`test/docs/aws.ts does not know "aws ${words.slice(0, 2).join(' ')}"`)
  const { needs = [], takes = [], answer } = operation
  const options: Record<string, string> = {}
  const rest = words.slice(name.split(' ').length)
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const option = word.startsWith('--') ? word.slice(2) : 'OUTFILE'
    if (![...needs, ...takes, ...GLOBAL].includes(option))
      throw new Error(`Unknown options: ${word}, of aws ${name}`)
    options[option] =
      option === 'OUTFILE' || rest[0] === undefined || rest[0].startsWith('--') ? word : (rest.shift() ?? '')
  }
  const missing = needs.filter((each) => !options[each] || options[each].startsWith('--'))
  if (missing.length > 0)
    throw new Error(`the following arguments are required: --${missing.join(', --')}, of aws ${name}`)
  const found = queried(answer?.(options) ?? {}, options.query)
  const isEmpty = found === undefined || (Array.isArray(found) && found.length === 0)
  if (options.query && isEmpty)
    throw new Error(`--query ${options.query} finds nothing in the answer of aws ${name}`)
  return options.output === 'text' ? [found].flat().join('\t') : JSON.stringify(found)
}

if (import.meta.main) {
  try {
    console.log(awsAnswer(process.argv.slice(2)))
  } catch (error) {
    const { message } = error as Error
    const gaveUp = error instanceof GaveUp
    if (process.env.BURSAR_COMPLAINTS && !gaveUp)
      appendFileSync(process.env.BURSAR_COMPLAINTS, `${message}\n`)
    console.error(message)
    process.exit(gaveUp ? error.exitCode : 254)
  }
}
