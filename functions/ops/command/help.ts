import type { Command, Commands } from './command.ts'
import { isSwitch } from './fields.ts'
import { flagOf, LOCAL_URL, usageOf } from './read.ts'
import { table } from './text.ts'

const GENERAL = `  --stage STAGE    a deployment on AWS, such as production, with the AWS credentials of your environment
  --url URL        a deployment by its address, or a stack on this machine; ${LOCAL_URL} without it
  --region REGION  the AWS region of a --url that does not name it
  --as ROLE        as whom to ask the stack on this machine: read, support or admin; admin without it
  --json           prints the answer as JSON
  --yes            does it without asking
  --request NAME   names the request, so that a repeat after a lost answer does nothing twice`

const roleOf = ({ row }: Command): string => row.role ?? ''

/** The help about all commands, or about those whose words begin with the topic. */
export function helpText(commands: Commands, topic: string): string {
  const about = Object.entries(commands).filter(([words]) => `${words} `.startsWith(`${topic} `))
  if (topic !== '' && about.length > 0) return about.map(helpOf).join('\n\n')
  const rows = Object.entries(commands).map(([words, command]) => [
    `  ${usageOf(words, command)}`,
    roleOf(command),
    command.summary,
  ])
  return `Commands for operators.

  npm run ops -- <command> [--help]

${table(['  COMMAND', 'ROLE', 'WHAT IT DOES'], rows)}

${GENERAL}

functions/ops/README.md says who is an operator and what each role may do.`
}

function helpOf([words, command]: [string, Command]): string {
  const { row, flags = {}, summary } = command
  const shown = Object.entries(flags).map(([field, meaning]) => [
    `  --${flagOf(field)}${isSwitch(row, field) ? '' : ` ${field.toUpperCase()}`}`,
    meaning,
  ])
  return [
    `npm run ops -- ${usageOf(words, command)}`,
    `  ${summary} (role ${roleOf(command)})`,
    ...shown.map(([flag = '', meaning]) => `${flag.padEnd(24)} ${meaning}`),
  ].join('\n')
}
