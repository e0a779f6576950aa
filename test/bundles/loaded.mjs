/** `node loaded.mjs <module>…` imports each module and prints the files that were loaded with it as JSON. */
import { registerHooks } from 'node:module'

const loaded = []
registerHooks({
  load(url, context, nextLoad) {
    if (url.startsWith('file:')) loaded.push(url)
    return nextLoad(url, context)
  },
})
const byModule = {}
for (const module of process.argv.slice(2)) {
  loaded.length = 0
  await import(module)
  byModule[module] = [...loaded]
}
process.stdout.write(JSON.stringify(byModule))
process.exit(0)
