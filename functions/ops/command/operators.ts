import { ops } from '../routes.ts'
import { type Commands, command } from './command.ts'
import { facts } from './text.ts'

export const operatorCommands = {
  whoami: command(ops.whoami, {
    summary: 'shows under which name the deployment knows you',
    show: ({ name, role }) => facts({ name, role }),
  }),
} satisfies Commands
