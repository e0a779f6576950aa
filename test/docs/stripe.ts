/** A stand-in for `npx stripe trigger EVENT`, which knows the events that the deployment subscribes to. */
import { subscribedEvents } from '../../core/webhooks/event-types.ts'

const [program, command, event = '', ...rest] = process.argv.slice(2)
const isTrigger = program === 'stripe' && command === 'trigger' && rest.length === 0
if (!isTrigger || !subscribedEvents.includes(event)) {
  console.error(`test/docs/stripe.ts does not know "npx ${process.argv.slice(2).join(' ')}"`)
  process.exit(1)
}
