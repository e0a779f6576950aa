import { testRoutes } from './routes.ts'

await testRoutes((nth) => nth % 2 === 1)
