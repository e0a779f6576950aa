/** `npm run generate`: writes the files, and parts of files, that derive from the code. Tests say they are fresh. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openapi } from '../../functions/http/openapi.ts'
import { rows } from '../../functions/http/rows.ts'
import { powerShellWalkThrough, shellWalkThrough } from '../local/walk-through.ts'

const ROOT = join(import.meta.dirname, '..', '..')

function endpointTable(): string {
  const lines = rows.map((row) => {
    const keys = row.routes.map((key) => `\`${key}\``).join('<br>')
    return `| ${keys} | ${row.auth === 'public' ? '' : row.auth} | ${row.summary} |`
  })
  return ['| endpoint | needs | what it does |', '| --- | --- | --- |', ...lines].join('\n')
}

/** Replaces what stands between `<!-- name -->` and `<!-- /name -->`. */
function section(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [before, after] = [text.indexOf(open), text.indexOf(close)]
  if (before < 0 || after < before) throw new Error(`README.md has no section ${name}`)
  return `${text.slice(0, before + open.length)}\n${content}\n${text.slice(after)}`
}

/** Each derived file by its path from the root, as it should be. */
export function generated(): Record<string, string> {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const url = 'http://127.0.0.1:3000'
  const block = (language: string, text: string) => `\`\`\`${language}\n${text}\n\`\`\``
  const walk = [
    block('sh', shellWalkThrough(url)),
    '<details><summary>The same for PowerShell</summary>',
    block('powershell', powerShellWalkThrough(url)),
    '</details>',
  ].join('\n\n')
  return {
    'functions/openapi.json': `${JSON.stringify(openapi(), null, 2)}\n`,
    'README.md': section(section(readme, 'walk-through', walk), 'endpoints', endpointTable()),
  }
}

// Not `import.meta.main`, which is false of a file that test/run.mjs starts.
if (process.argv[1] === import.meta.filename) {
  for (const [file, text] of Object.entries(generated())) {
    writeFileSync(join(ROOT, file), text)
    console.log(`wrote ${file}`)
  }
}
