/**
 * `node generate-clients.ts DOCUMENT FOLDER` makes clients of an OpenAPI document with two generators in common use, each
 * in its own file or folder. Both write with the API of TypeScript 5, which TypeScript 7 no longer has, so they get
 * the package `typescript5` in its place; what they write is compiled with our own.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'

registerHooks({
  resolve: (name, context, next) => next(name === 'typescript' ? 'typescript5' : name, context),
})

const [file = '', folder = ''] = process.argv.slice(2)
const read = () => JSON.parse(readFileSync(file, 'utf8'))

const { default: openapiTypeScript, astToString } = await import('openapi-typescript')
writeFileSync(join(folder, 'schema.ts'), astToString(await openapiTypeScript(read())))

const { createClient } = await import('@hey-api/openapi-ts')
await createClient({
  input: read(),
  output: { path: join(folder, 'hey-api') },
  plugins: ['@hey-api/client-fetch', '@hey-api/typescript', '@hey-api/sdk'],
  logs: { level: 'silent' },
})
