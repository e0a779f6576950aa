import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { build } from 'esbuild'
import { wireTypes } from './client-types.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** Where package.json's `exports` lead. */
export const CLIENT_FOLDER = join(ROOT, '.client')

const ENTRIES = ['client', 'meter']

/** The settings of the declarations. Bursar's own settings know no build. */
const DECLARATIONS = {
  extends: join(ROOT, 'tsconfig.json'),
  compilerOptions: {
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    stripInternal: true,
    paths: {},
    rootDir: '.',
    outDir: '../types',
  },
  include: ['.'],
}

const tsc = (): string => {
  const manifest = createRequire(import.meta.url).resolve('typescript/package.json')
  return join(manifest, '..', 'bin', 'tsc')
}

/**
 * Builds the package: an ES module for each entry of `functions/client`, code that several entries share, and
 * declarations that import nothing else of Bursar and no package.
 * @param folder takes the files; what it held is removed
 */
export async function buildClient(folder = CLIENT_FOLDER): Promise<void> {
  const source = join(ROOT, 'functions', 'client')
  const work = join(folder, 'source')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  cpSync(source, work, { recursive: true, filter: (path) => !path.endsWith('.md') })
  writeFileSync(join(work, 'wire.ts'), wireTypes())
  writeFileSync(join(work, 'tsconfig.json'), JSON.stringify(DECLARATIONS))
  const entryPoints = ENTRIES.map((entry) => join(work, `${entry}.ts`)).filter((file) => existsSync(file))
  await build({
    entryPoints,
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2022',
    packages: 'external',
    minifySyntax: true,
    minifyWhitespace: true,
    logLevel: 'warning',
  })
  execFileSync(process.execPath, [tsc(), '-p', work], { stdio: ['ignore', 'inherit', 'inherit'] })
  rmSync(work, { recursive: true })
  nameJavaScript(join(folder, 'types'))
  writeFileSync(join(folder, 'package.json'), manifest())
}

/** Makes the folder a package of its own, for services: without what the repository needs to deploy itself. */
function manifest(): string {
  const read = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const { name, version, license, type, engines, peerDependencies, peerDependenciesMeta } = read
  const exports = Object.fromEntries(
    ENTRIES.map((entry) => [`./${entry}`, { types: `./types/${entry}.d.ts`, default: `./${entry}.js` }]),
  )
  const description = "The client and the meter of Bursar's API"
  const own = { name, version, description, license, type, exports, engines, sideEffects: false }
  return JSON.stringify({ ...own, peerDependencies, peerDependenciesMeta }, null, 2)
}

/** Declarations import each other by the names of our sources, `./errors.ts`. Other tools than tsc expect `./errors.js`. */
function nameJavaScript(types: string): void {
  const files = readdirSync(types, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.d.ts'),
  )
  for (const file of files) {
    const text = readFileSync(join(types, file), 'utf8')
    writeFileSync(join(types, file), text.replaceAll(/(['"]\.{1,2}\/[^'"]+)\.ts(?=['"])/g, '$1.js'))
  }
}

// Not `import.meta.main`, which is false for a file that test/run.mjs starts.
if (process.argv[1] === import.meta.filename) await buildClient()
