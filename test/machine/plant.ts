import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Bug, fileExporting, type Handle, patched, type Sources } from './patch.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const CORE = join(ROOT, 'core')

/** The sources of `core` by path, without the adapters. */
export const coreSources: Sources = new Map(
  globSync('**/*.ts', { cwd: CORE, exclude: ['adapters/**'] })
    .sort()
    .map((file) => [file, readFileSync(join(CORE, file), 'utf8')]),
)

const IMPORTED = /(?<=\bfrom ')\.{1,2}\/[^']+(?=')/g

/** These files, and all files that import one of them directly or indirectly. */
function withImporters(files: Iterable<string>, sources: Sources): Set<string> {
  const importsOf = [...sources].map(([file, source]) => {
    const imports = [...source.matchAll(IMPORTED)].map(([path]) => join(dirname(file), path))
    return { file, imports: new Set(imports) }
  })
  const found = new Set(files)
  // The loop also visits elements that are added to the set meanwhile.
  for (const imported of found)
    for (const { file, imports } of importsOf) if (imports.has(imported)) found.add(file)
  return found
}

/**
 * Functions of `core` with a bug in them. They come from copies of the changed file and of all files that
 * import it; the copies import everything else from the real files.
 * @throws Error if the bug no longer fits the sources
 */
export async function plant<Functions extends Record<string, Handle>>(
  bug: Bug,
  functions: Functions,
): Promise<{ functions: Functions; remove(): void }> {
  const changed = patched(bug, coreSources)
  const sources = new Map([...coreSources, ...changed])
  const copied = withImporters(changed.keys(), sources)
  const wanted = Object.entries(functions).map(([key, { name }]) => {
    return { key, name, file: fileExporting(name, coreSources) }
  })
  const reached = wanted.filter(({ file }) => copied.has(file))
  if (reached.length === 0) throw new Error('None of the functions under test reaches the bug')
  mkdirSync(join(ROOT, '.local'), { recursive: true })
  const folder = mkdtempSync(join(ROOT, '.local', 'planted-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  for (const file of copied) {
    mkdirSync(join(folder, dirname(file)), { recursive: true })
    const source = sources.get(file) ?? ''
    const text = source.replace(IMPORTED, (path) => {
      const imported = join(dirname(file), path)
      return copied.has(imported) ? path : join(CORE, imported)
    })
    writeFileSync(join(folder, file), text)
  }
  try {
    const planted = await Promise.all(
      reached.map(async ({ key, name, file }) => {
        const module: Record<string, unknown> = await import(/* @vite-ignore */ join(folder, file))
        return [key, module[name]]
      }),
    )
    return { functions: { ...functions, ...Object.fromEntries(planted) }, remove }
  } catch (error) {
    remove()
    throw error
  }
}
