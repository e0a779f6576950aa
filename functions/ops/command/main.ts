/** `npm run ops -- COMMAND`: the operators' commands, over the same endpoints as everybody else's. */
import { execFile, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline/promises'
import { promisify } from 'node:util'
import { commands } from './commands.ts'
import { type Console, runOps } from './run.ts'

async function aws(args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('aws', args)
    return stdout
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string }
    if (code === 'ENOENT')
      throw new Error(
        'The AWS CLI is not installed: https://docs.aws.amazon.com/cli/ tells how. Or give --url, and AWS credentials in the environment.',
      )
    throw stderr ? new Error(`The AWS CLI could not help: ${stderr.trim()}`) : error
  }
}

async function ask(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return await lines.question(question)
  } finally {
    lines.close()
  }
}

const terminal: Console = {
  fetch,
  env: process.env,
  aws,
  ask: process.stdin.isTTY ? ask : undefined,
  print: (text) => void process.stdout.write(`${text}\n`),
  progress: (line) => void (process.stderr.isTTY && process.stderr.write(`\r\u001b[K${line}`)),
}

/** The drill plays a restore with the local stack, which is no part of a deployment. */
const program =
  process.argv[2] === 'restore-drill' ? drill : () => runOps(process.argv.slice(2), terminal, commands)

async function drill(): Promise<void> {
  const { status } = spawnSync('npm', ['run', '--silent', 'restore-drill'], { stdio: 'inherit' })
  process.exitCode = status ?? 1
}

program().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
})
