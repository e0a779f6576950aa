/**
 * `node test/run.mjs [NAME=VALUE…] TARGET [ARGUMENT…]` runs a file of this project, or a package's command by the
 * package's name, with these environment variables. The scripts of package.json start through it, since Windows' shell
 * has no `NAME=value command`. It is plain JavaScript that Node 14 parses, so that an old Node gets a sentence here
 * instead of a stack from the first TypeScript file.
 *
 * `npm run dev` begins with `exec` even so. npm passes SIGTERM to its shell alone, and Debian's shell stays while the
 * last command runs: it would die, and npm would end with its code before the server has stopped. Windows' shell has no
 * `exec`, so there the `postinstall` script leaves one in node_modules/.bin, where npm's scripts find it.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const manifestOf = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))

/** What keeps the target from running, as a sentence for the person at the terminal; undefined if nothing does. */
function obstacle() {
  if (!existsSync(join(ROOT, 'node_modules'))) return 'The packages are not installed. Run `npm ci` first.'
  const needed = parseInt(manifestOf(ROOT).devDependencies.node, 10)
  if (parseInt(process.versions.node, 10) >= needed) return undefined
  const [running, where] = [process.versions.node, process.execPath]
  const program = process.platform === 'win32' ? 'node.exe' : 'node'
  const remedy = existsSync(join(ROOT, 'node_modules/node/bin', program))
    ? 'Start it with `npm run`, which puts the Node of node_modules first'
    : 'The package `node`, which brings it, was installed without its install script: run `npm rebuild node`'
  return `Bursar needs Node ${needed}, but this is Node ${running} (${where}). ${remedy}, or install Node ${needed}.`
}

/** The file of a target: a path from the working folder, or the only command of the package that has the name. */
function fileOf(target) {
  if (/[./\\]/.test(target)) return realpathSync(resolve(target))
  const folder = join(ROOT, 'node_modules', target)
  const { bin } = manifestOf(folder)
  return realpathSync(join(folder, typeof bin === 'string' ? bin : bin[target]))
}

/**
 * Stops this process as SIGTERM does once the process that started it has ended, so that none is left behind: npm
 * passes SIGTERM to its shell alone, and a shell that did not become this process dies of it.
 */
function endWithParent() {
  if (process.platform === 'win32' || !process.env.npm_lifecycle_event) return
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    process.kill(process.pid, 'SIGTERM')
  }, 200)
  timer.unref()
}

/** Whether npm runs `prepare` after an installation without devDependencies, which has no tools to build with. */
const hasNothingToPrepare = () =>
  process.env.npm_lifecycle_event === 'prepare' && !existsSync(join(ROOT, 'node_modules/esbuild'))

async function main() {
  if (hasNothingToPrepare()) return
  const said = obstacle()
  if (said !== undefined) {
    console.error(said)
    process.exit(1)
  }
  const words = process.argv.slice(2)
  while (/^[A-Z_]+=/.test(words[0] || '')) {
    const [, name, value] = /^([A-Z_]+)=(.*)$/.exec(words.shift())
    process.env[name] = value
  }
  const [target = '', ...args] = words
  const file = fileOf(target)
  // The target finds its own arguments where it would find them without this launcher.
  process.argv.splice(1, process.argv.length, file, ...args)
  endWithParent()
  await import(pathToFileURL(file).href)
}

await main()
