public enum LoopModule {}
