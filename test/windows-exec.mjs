/**
 * Gives Windows' shell a command `exec`, with which `npm run dev` starts: npm's scripts find it in node_modules/.bin.
 * Everywhere else `exec` is the shell's own, and has to be there. npm passes SIGTERM to its shell alone; Debian's shell
 * would die of it while the server goes on, and npm would end before the server does, with the shell's code. Plain
 * JavaScript, since it runs after each installation, under any Node.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const bin = join(dirname(fileURLToPath(import.meta.url)), '../node_modules/.bin')
if (process.platform === 'win32') {
  mkdirSync(bin, { recursive: true })
  writeFileSync(join(bin, 'exec.cmd'), '@%*\r\n')
}
