/**
 * `npm run ops -- COMMAND`: the operator's commands. They run in a function of the deployment, which the AWS CLI
 * starts with the operator's own credentials, or in the stack on this machine.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { CommandResult, ServiceCommand } from '../../core/keys/service-commands.ts'
import { HELP, readOps, resultText } from './ops-command.ts'

async function main(): Promise<void> {
  const { command, stage, url, json } = readOps(process.argv.slice(2))
  if (!command) return print(HELP)
  const result = stage === undefined ? await onThisMachine(url, command) : await onAws(stage, command)
  if (result.refused !== undefined) throw new Error(result.refused)
  print(json ? JSON.stringify(result, null, 2) : resultText(result))
}

async function onThisMachine(url: string, command: ServiceCommand): Promise<CommandResult> {
  const answer = await fetch(new URL('/_local/ops', url), {
    method: 'POST',
    body: JSON.stringify(command),
  }).catch(() => {
    throw new Error(
      `Nothing answers at ${url}. Start the stack with "npm run dev", or name a deployment with --stage.`,
    )
  })
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`The stack at ${url} answered ${answer.status}: ${text}`)
  return JSON.parse(text)
}

/** The result goes through a folder that only this user can read, since it may hold a credential. */
async function onAws(stage: string, command: ServiceCommand): Promise<CommandResult> {
  const name = `bursar-${stage}-jobs-ops`
  const folder = mkdtempSync(join(tmpdir(), 'bursar-ops-'))
  const file = join(folder, 'result.json')
  try {
    const sent = join(folder, 'command.json')
    writeFileSync(sent, JSON.stringify(command))
    // Both major versions of the CLI read a payload from a file unchanged.
    const args = ['lambda', 'invoke', '--function-name', name, '--payload', `fileb://${sent}`]
    const { stdout } = await promisify(execFile)('aws', [...args, '--output', 'json', file])
    if (JSON.parse(stdout).FunctionError)
      throw new Error(
        `${name} failed, and its log says why. "service list" shows whether the command took effect.`,
      )
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string }
    if (code === 'ENOENT')
      throw new Error('The AWS CLI is not installed: https://docs.aws.amazon.com/cli/ tells how.')
    throw stderr ? new Error(`The AWS CLI could not start ${name}: ${stderr.trim()}`) : error
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const print = (text: string): void => void process.stdout.write(`${text}\n`)

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
})
