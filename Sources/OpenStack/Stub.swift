public enum OpenStackModule {}
