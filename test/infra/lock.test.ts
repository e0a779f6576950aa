import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

interface Locked {
  version?: string
  integrity?: string
  resolved?: string
  link?: boolean
  hasInstallScript?: boolean
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
}

const read = (file: string) => JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', file), 'utf8'))
const lock: Record<string, Locked> = read('package-lock.json').packages
const { allowScripts, ...manifest } = read('package.json')
const { '': root, ...locked } = lock
const named = (holds: (entry: Locked) => unknown) =>
  Object.keys(locked).filter((name) => holds(locked[name] ?? {}))
const nameOf = (path: string) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)

test('every package of the lock file has a SHA-512 and comes from a registry', () => {
  expect(named(({ integrity = '' }) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity))).toEqual([])
  expect(named(({ link, resolved = 'https://' }) => link || !resolved.startsWith('https://'))).toEqual([])
})

test('no package runs an install script unless package.json allows it', () => {
  const scripted = named(({ hasInstallScript }) => hasInstallScript).map(nameOf)
  expect(scripted.filter((name) => allowScripts[name] === undefined)).toEqual([])
})

test('every dependency is pinned to one version, and the lock file has that version', () => {
  const wanted = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies }
  for (const [name, version] of Object.entries<string>(wanted)) {
    // A package under another name is wanted as `npm:<its own name>@<version>`.
    const pinned = version.replace(/^npm:.*@/, '')
    expect([name, locked[`node_modules/${name}`]?.version]).toEqual([name, pinned])
  }
  expect(Object.keys(wanted).length).toBe(
    Object.keys({ ...root?.dependencies, ...root?.optionalDependencies }).length +
      Object.keys(manifest.devDependencies).length,
  )
})

/** A hole is a package that was unavailable when the lock file was written. It makes `npm ci` fail. */
test('the lock file has no holes', () => {
  const names = new Set(Object.keys(locked).map(nameOf))
  const holes = Object.entries(locked).flatMap(([path, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => !names.has(name))
      .map((name) => `${path} -> ${name}`),
  )
  expect(holes).toEqual([])
})
