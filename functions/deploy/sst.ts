/**
 * Runs the pinned version of SST for `npm run sst -- COMMAND` and `npm run deploy`, with the same arguments.
 */
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { toolPath } from './tools.ts'

async function main(): Promise<void> {
  const program = await toolPath('sst')
  if (!program) throw new Error(`SST is not published for ${process.platform}-${process.arch}.`)
  const words = process.argv.slice(2)
  const setsFromFile = /^secret set /.test(words.join(' ')) && !process.stdin.isTTY
  const child = spawn(program, words, { stdio: [setsFromFile ? 'pipe' : 'inherit', 'inherit', 'inherit'] })
  // SST would keep the line break at the end of the file, and no secret has one.
  const { stdin } = child
  if (stdin) text(process.stdin).then((secret) => stdin.end(secret.trimEnd()), fail)
  // The terminal sends Ctrl-C to SST, too. SST then finishes the step at work, and this process waits for
  // SST.
  process.on('SIGINT', () => {}).on('SIGTERM', () => child.kill('SIGTERM'))
  child.once('error', (error) => fail(error))
  child.once('exit', (code) => process.exit(code ?? 1))
}

function fail(error: Error): void {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
}

main().catch(fail)
