/** The local stack in a process of its own, so that the siege's own work delays nobody's answer. */
import { startServer } from '../local/server.ts'
import { EDGE_SECRET } from './world.ts'

const server = await startServer({
  port: 0,
  schedule: true,
  reload: false,
  quiet: true,
  env: { EDGE_SECRET },
})
process.send?.(server.url)
process.once('disconnect', async () => {
  await server.close()
  process.exit()
})
