import { parseArgs } from 'node:util'
import type { CommandResult, ServiceCommand } from '../../core/keys/service-commands.ts'
import type { Service } from '../../core/keys/services.ts'

/** What the operator asks for, and of which deployment. */
export interface OpsOptions {
  /** Undefined for `--help`. */
  command: ServiceCommand | undefined
  /** A deployment on AWS; undefined for a stack on this machine. */
  stage: string | undefined
  /** The address of a stack on this machine. */
  url: string
  json: boolean
}

const USAGE =
  'npm run ops -- service add NAME | list | revoke NAME [--stage STAGE | --url URL] [--json] [--help]'

export const HELP = `Commands for the operator of this deployment.

  ${USAGE}

  service add NAME      makes a service and shows its credential, this once
  service list          shows all services, with those that were revoked
  service revoke NAME   revokes a credential; requests with it are refused within 30 seconds

  --stage STAGE   a deployment on AWS, such as production, through the AWS CLI: your credentials need
                  lambda:InvokeFunction for bursar-STAGE-jobs-ops
  --url URL       a stack on this machine; http://127.0.0.1:3000 without it
  --json          prints the result as JSON

A service spends units for many customers with one credential: your gateway, say, or a worker.`

/**
 * Reads the command.
 * @throws Error with a sentence for the person at the terminal
 */
export function readOps(args: string[]): OpsOptions {
  const { values, positionals } = parse(args)
  const options = {
    stage: values.stage,
    url: values.url ?? 'http://127.0.0.1:3000',
    json: values.json === true,
  }
  if (values.help || args.length === 0) return { ...options, command: undefined }
  if (values.stage !== undefined && values.url !== undefined)
    throw new Error(`Give --stage or --url. Usage: ${USAGE}`)
  if (values.stage !== undefined && !/^[a-z][a-z0-9-]{0,15}$/.test(values.stage))
    throw new Error(`--stage ${values.stage} is no stage. Usage: ${USAGE}`)
  if (!URL.canParse(options.url)) throw new Error(`--url ${options.url} is no URL. Usage: ${USAGE}`)
  return { ...options, command: commandOf(positionals) }
}

function commandOf([noun, verb, name, ...more]: string[]): ServiceCommand {
  if (noun === 'service' && more.length === 0) {
    if (verb === 'list' && name === undefined) return { command: 'service list' }
    if (verb === 'add' && name !== undefined) return { command: 'service add', name }
    if (verb === 'revoke' && name !== undefined) return { command: 'service revoke', name }
  }
  throw new Error(`There is no such command. Usage: ${USAGE}`)
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        stage: { type: 'string' },
        url: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    })
  } catch (error) {
    throw new Error(`${(error as Error).message.replaceAll('\n', ' ')} Usage: ${USAGE}`)
  }
}

/** The result of a command as people read it. */
export function resultText({ done, service, credential, services = [] }: CommandResult): string {
  if (done === 'service list') return listText(services)
  const name = service?.name
  if (done === 'service revoke')
    return `The service ${name} is revoked. Requests with its credential are refused within 30 seconds.`
  return `The service ${name} is made. Keep its credential now, for nothing can show it again:

  ${credential}

A request sends it as "Authorization: Bearer bss_…", with the customer's key in "X-Bursar-Key" or their
account id in "X-Bursar-Account". If it gets into wrong hands: npm run ops -- service revoke ${name}`
}

function listText(services: readonly Service[]): string {
  if (services.length === 0) return 'There are no services. Make one: npm run ops -- service add NAME'
  const time = (atMs: number) => new Date(atMs).toISOString().slice(0, 16).replace('T', ' ')
  const rows = services.map(({ name, scopes, last4, createdAtMs, revokedAtMs }) => [
    name,
    scopes.join(' '),
    `bss_…${last4}`,
    time(createdAtMs),
    revokedAtMs === undefined ? 'live' : `revoked ${time(revokedAtMs)}`,
  ])
  const all = [['NAME', 'SCOPES', 'CREDENTIAL', 'CREATED (UTC)', 'STATE'], ...rows]
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? []
  return all
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
