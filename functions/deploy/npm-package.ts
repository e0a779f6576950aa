import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileInTarball } from './tarball.ts'

/** A package of the npm registry at one version. */
export interface Package {
  name: string
  version: string
  /** `sha512-…` of its tarball. If left out, only npm checks the tarball, against the registry's own hash. */
  integrity?: string | undefined
}

/**
 * Fetches one program of a package through npm, so that the registry, proxy and credentials of npm's
 * configuration apply. No script of the package runs. The program appears under its final path complete or
 * not at all, so two processes may fetch it at the same time.
 * @param folder the program's folder, created if missing.
 * @param program the program's file name; the package may have it in any folder.
 * @returns the program's path.
 * @throws Error with the reason in a few words.
 */
export async function fetchProgram(wanted: Package, folder: string, program: string): Promise<string> {
  mkdirSync(folder, { recursive: true })
  const work = mkdtempSync(join(folder, 'fetching-'))
  try {
    await npmPack(`${wanted.name}@${wanted.version}`, work)
    const [file = ''] = readdirSync(work).filter((name) => name.endsWith('.tgz'))
    const tarball = readFileSync(join(work, file))
    const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
    if (wanted.integrity !== undefined && integrity !== wanted.integrity) {
      throw new Error(`the registry's tarball has the integrity ${integrity} instead of ${wanted.integrity}`)
    }
    const bytes = fileInTarball(tarball, (path) => path === program || path.endsWith(`/${program}`))
    if (bytes === undefined) throw new Error(`the package has no file ${program}`)
    writeFileSync(join(work, program), bytes, { mode: 0o755 })
    renameSync(join(work, program), join(folder, program))
    return join(folder, program)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/**
 * Puts a package's tarball into a folder. npm runs there: it finds the `.npmrc` of the project around the
 * folder, and no path has to be quoted for Windows' shell, which is needed to start `npm.cmd`.
 */
function npmPack(spec: string, cwd: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('npm', ['pack', spec, '--json', '--pack-destination=.'], {
      cwd,
      shell: process.platform === 'win32',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk
    })
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(new Error(error.code === 'ENOENT' ? 'npm is not on the PATH' : error.message)),
    )
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(reasonIn(said, code)))))
  })
}

/** The reason in npm's report `{error: {code, summary}}`, whose summary has one or more lines. */
function reasonIn(said: string, code: number | null): string {
  try {
    const { error } = JSON.parse(said) as { error: { code: string; summary: string } }
    return `${error.code}: ${error.summary.split('\n')[0]}`
  } catch {
    return `npm pack ended with code ${code}`
  }
}
