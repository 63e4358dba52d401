export function startOperator() {}
