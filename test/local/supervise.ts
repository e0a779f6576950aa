/**
 * `node supervise.ts PROGRAM [ARGUMENT…]` runs a program that ends with its owner, who holds this process's stdin open:
 * when the owner is gone, by kill -9 too, the pipe ends, and the program is killed. For Windows, which has no `sh`.
 */
import { spawn } from 'node:child_process'

const [program = '', ...args] = process.argv.slice(2)
const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
child.once('error', (error) => {
  console.error(error.message)
  process.exit(1)
})
child.once('exit', (code) => process.exit(code ?? 1))
process.stdin.once('close', () => child.kill('SIGKILL')).resume()
